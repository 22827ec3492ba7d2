"""One started child as its supervisor sees it: start, signal, notice the end, reap."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import NoReturn

from toto._core.child import (
    PARENT_FD_VARIABLE,
    READY_FD_VARIABLE,
    ChildContext,
    ChildSpec,
    Command,
    signal_on_parent_death,
)

__all__ = ["ChildProcess", "describe_exit", "start_child"]

logger = logging.getLogger("toto.supervisor")


class ChildProcess:
    """A process that was started and not yet reaped, so its pid cannot be anybody else's."""

    def __init__(
        self, pid: int, *, ready_fd: int, popen: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.pid = pid
        self.ready_fd = ready_fd
        self._popen = popen

    @property
    def is_forked(self) -> bool:
        """Whether it is a fork of the supervisor, not a command."""
        return self._popen is None

    def says_ready(self) -> bool:
        """Return whether the child has written its readiness byte; does not wait."""
        try:
            return os.read(self.ready_fd, 1) != b""
        except BlockingIOError:
            return False

    def close_ready_fd(self) -> None:
        """Stop listening for readiness; calling it again does nothing."""
        if self.ready_fd >= 0:
            os.close(self.ready_fd)
            self.ready_fd = -1

    def terminate(self) -> None:
        """Ask it to stop."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it now, with all that a command started in its process group."""
        if self.is_forked:
            os.kill(self.pid, signal.SIGKILL)
            return
        with contextlib.suppress(PermissionError):  # macOS, when the group has only zombies left
            os.killpg(self.pid, signal.SIGKILL)

    def exit_status(self) -> int | None:
        """Return the exit code, or minus the signal, or None while it runs; leaves the zombie."""
        result = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

    def reap(self) -> None:
        """Wait for its end and remove the zombie."""
        if self._popen is None:
            os.waitpid(self.pid, 0)
        else:
            self._popen.wait()


def start_child(
    spec: ChildSpec, *, parent_pipe: int, leave_supervisor: Callable[[], None]
) -> ChildProcess:
    """Start a child.

    Args:
        spec: what to start.
        parent_pipe: the read end that tells the child of the supervisor's end.
        leave_supervisor: called in a fork to give up the supervisor's signals and descriptors.

    Raises:
        OSError: the system could not start it.
    """
    ready_read_fd, ready_write_fd = os.pipe()
    os.set_blocking(ready_read_fd, False)
    context = ChildContext(ready_fd=ready_write_fd, parent_pipe=parent_pipe)

    def leave() -> None:
        leave_supervisor()
        os.close(ready_read_fd)

    try:
        if isinstance(spec.start, Command):
            popen = _start_command(spec.start, ready_fd=ready_write_fd, parent_pipe=parent_pipe)
            return ChildProcess(popen.pid, ready_fd=ready_read_fd, popen=popen)
        pid = _fork(spec.name, spec.start, context, leave)
        return ChildProcess(pid, ready_fd=ready_read_fd)
    except OSError:
        os.close(ready_read_fd)
        raise
    finally:
        os.close(ready_write_fd)


def describe_exit(exit_status: int) -> str:
    """Return "exit code 3" or "SIGKILL"."""
    if exit_status >= 0:
        return f"exit code {exit_status}"
    try:
        return signal.Signals(-exit_status).name
    except ValueError:  # a real-time signal without a name
        return f"signal {-exit_status}"


def _start_command(command: Command, *, ready_fd: int, parent_pipe: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the operator's own command, no shell
        command.argv,
        stdin=subprocess.DEVNULL,
        env={
            **os.environ,
            **command.environment,
            READY_FD_VARIABLE: str(ready_fd),
            PARENT_FD_VARIABLE: str(parent_pipe),
        },
        pass_fds=(ready_fd, parent_pipe),
        process_group=0,  # a terminal's Ctrl-C reaches the supervisor alone
    )


def _fork(
    name: str,
    run: Callable[[ChildContext], int],
    context: ChildContext,
    leave_supervisor: Callable[[], None],
) -> int:
    supervisor_pid = os.getpid()
    _flush_standard_streams()  # what is still buffered would be written by the child too
    # Blocked, or a signal for the child could meet the supervisor's handlers, which it has until it
    # leaves: the child would lose it, and the supervisor find it in the pipe the two still share.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:

            def enter() -> None:
                leave_supervisor()
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                signal_on_parent_death()
                if os.getppid() != supervisor_pid:  # it died before the kernel was asked
                    sys.exit(0)

            _run_and_exit(name, enter, run, context)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _run_and_exit(
    name: str,
    enter: Callable[[], None],
    run: Callable[[ChildContext], int],
    context: ChildContext,
) -> NoReturn:
    """Be the child: the supervisor's frames below this one are never returned to."""
    exit_code = 1
    try:
        enter()
        exit_code = run(context)
    except SystemExit as error:
        exit_code = _exit_code_of(error)
    except BaseException:
        logger.exception("%s failed", name)
    finally:
        _flush_standard_streams()
        os._exit(exit_code)


def _exit_code_of(error: SystemExit) -> int:
    """Do what the interpreter does with a SystemExit."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code
    sys.stderr.write(f"{error.code}\n")
    return 1


def _flush_standard_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a broken pipe, a closed stream
            stream.flush()
