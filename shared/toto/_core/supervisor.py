"""Keeps the processes of one command running, and stops them in order.

The supervisor has no user code, no threads and no event loop: it sleeps until a signal, a readiness
byte or a timer. So nothing that goes wrong in a child takes it down, and it can fork at any time.
"""

import logging
import math
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable
from functools import partial

from toto._core.child import ChildContext, ChildSpec
from toto._core.child_process import ChildProcess, describe_exit, start_child
from toto._core.restart import RestartBackoff
from toto._core.signal_pipe import SignalPipe

__all__ = ["EXIT_STARTUP", "Supervisor"]

logger = logging.getLogger("toto.supervisor")

EXIT_CLEAN = 0
EXIT_KILLED = 1
EXIT_STARTUP = 3
STARTUP_FAILURES = frozenset({2, EXIT_STARTUP})

# A gateway process of this host learns of a worker's death from a pidfd and then reads how it died
# in /proc/<pid>/stat, which only a zombie still has. It needs a few milliseconds, under load more.
ZOMBIE_SECONDS = 0.25

_SIGNALS = (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


class _Slot:
    """A spec and the process that serves it now, if one does."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.backoff = RestartBackoff()
        self.process: ChildProcess | None = None
        self.started_at = 0.0
        self.start_at = 0.0
        self.is_ready = False
        self.was_ready = False


class Supervisor:
    """Runs one process per spec until it is told to stop.

    SIGTERM or SIGINT stops gracefully, stage by stage; a second one, or SIGQUIT, kills at once.

    Args:
        specs: the children.
        graceful_timeout_seconds: what a child is allowed to take to stop.
        kill_margin_seconds: how long after that it is killed; a command that supervises children
            of its own needs a longer one than they have.
        on_ready: called once, when all children are ready for the first time.
        on_stop: called once, before the first child is told to stop.
        parent: the ties to the supervisor above, if there is one: told when all are ready, and
            followed into its end.
    """

    def __init__(
        self,
        specs: Iterable[ChildSpec],
        *,
        graceful_timeout_seconds: float,
        kill_margin_seconds: float = 2.0,
        on_ready: Callable[[], None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
        parent: ChildContext | None = None,
    ) -> None:
        self._slots = [_Slot(spec) for spec in specs]
        self._stop_seconds = graceful_timeout_seconds + kill_margin_seconds
        self._on_ready = on_ready
        self._on_stop = on_stop
        self._parent = parent
        self._signals = SignalPipe(_SIGNALS)
        self._selector = selectors.PollSelector()  # unlike epoll it has no descriptor to inherit
        self._child_parent_pipe = (-1, -1)
        self._zombies: list[tuple[float, ChildProcess]] = []
        self._was_ready = False
        self._was_signalled = False
        self._is_stopping = False
        self._stopping_stage: int | None = None
        self._kill_at = math.inf
        self._exit_code = EXIT_CLEAN

    def run(self) -> int:
        """Supervise, from the main thread, and return the exit code of the command.

        It is 0 after a clean stop, 1 if a child had to be killed, and 2 or 3 if a child ended with
        that code before it was ever ready.
        """
        self._child_parent_pipe = os.pipe()
        self._signals.open()
        try:
            self._selector.register(self._signals, selectors.EVENT_READ, self._on_signals)
            if self._parent is not None:
                self._selector.register(
                    self._parent.parent_pipe, selectors.EVENT_READ, self._on_parent_gone
                )
            while not self._is_stopping or self._living() or self._zombies:
                for key, _ in self._selector.select(self._seconds_to_next_timer()):
                    key.data()
                self._on_timers(time.monotonic())
            return self._exit_code
        finally:
            self._close()

    def _seconds_to_next_timer(self) -> float | None:
        due = [self._kill_at, *(slot.start_at for slot in self._slots)]
        due += [reap_at for reap_at, _ in self._zombies]
        next_at = min(due)
        return None if next_at == math.inf else max(0.0, next_at - time.monotonic())

    def _on_timers(self, now: float) -> None:
        for reap_at, process in self._zombies:
            if reap_at <= now:
                process.reap()
        self._zombies = [zombie for zombie in self._zombies if zombie[0] > now]
        for slot in self._slots:
            if slot.start_at <= now:
                self._start(slot)
        if self._is_stopping:
            self._continue_stop(now)

    def _on_signals(self) -> None:
        numbers = self._signals.read()
        if signal.SIGCHLD in numbers:
            self._notice_exits()
        for number in numbers:
            if number == signal.SIGHUP:
                logger.info("SIGHUP is ignored")
            elif number in {signal.SIGTERM, signal.SIGINT} and not self._was_signalled:
                self._was_signalled = True
                logger.info("%s: stopping", number.name)
                self._begin_stop()
            elif number != signal.SIGCHLD:
                logger.warning("%s: stopping at once", number.name)
                self._begin_stop()
                self._kill(self._living())

    def _on_parent_gone(self) -> None:
        # Not counted as a stop signal: the kernel's SIGTERM for the same death comes beside it.
        logger.warning("the parent is gone: stopping")
        if self._parent is not None:
            self._selector.unregister(self._parent.parent_pipe)
        self._begin_stop()

    def _on_ready_pipe(self, slot: _Slot) -> None:
        if slot.process is None or slot.process.ready_fd < 0:  # it ended earlier in this turn
            return
        if slot.process.says_ready():
            logger.info("%s (pid %d) is ready", slot.spec.name, slot.process.pid)
            slot.is_ready = slot.was_ready = True
        self._selector.unregister(slot.process.ready_fd)
        slot.process.close_ready_fd()
        are_ready = all(other.is_ready for other in self._slots)
        if are_ready and not self._was_ready and not self._is_stopping:
            self._was_ready = True
            if self._parent is not None:
                self._parent.ready()
            self._on_ready()

    def _start(self, slot: _Slot) -> None:
        slot.start_at = math.inf
        slot.started_at = time.monotonic()
        try:
            slot.process = start_child(
                slot.spec,
                parent_pipe=self._child_parent_pipe[0],
                leave_supervisor=self._leave_in_child,
            )
        except OSError as error:
            self._replace(slot, EXIT_STARTUP, str(error))
            return
        self._selector.register(
            slot.process.ready_fd, selectors.EVENT_READ, partial(self._on_ready_pipe, slot)
        )

    def _leave_in_child(self) -> None:
        """Close, in a fork, what must live in the supervisor alone."""
        self._signals.leave_in_child()
        os.close(self._child_parent_pipe[1])
        for _, process in self._living():
            process.close_ready_fd()
        if self._parent is not None:
            self._parent.close()

    def _notice_exits(self) -> None:
        for slot, process in self._living():
            exit_status = process.exit_status()
            if exit_status is not None:
                self._on_exit(slot, process, exit_status)

    def _on_exit(self, slot: _Slot, process: ChildProcess, exit_status: int) -> None:
        self._on_ready_pipe(slot)  # what it said before it ended counts
        slot.process = None
        slot.is_ready = False
        is_read_by_others = process.is_forked and not (self._is_stopping and exit_status == 0)
        linger_seconds = ZOMBIE_SECONDS if is_read_by_others else 0.0
        self._zombies.append((time.monotonic() + linger_seconds, process))
        if self._is_stopping:
            level = logging.INFO if exit_status == 0 else logging.WARNING
            reason = describe_exit(exit_status)
            logger.log(level, "%s (pid %d) ended: %s", slot.spec.name, process.pid, reason)
        else:
            self._replace(slot, exit_status, f"(pid {process.pid}) {describe_exit(exit_status)}")

    def _replace(self, slot: _Slot, exit_status: int, reason: str) -> None:
        if not slot.was_ready and exit_status in STARTUP_FAILURES:
            logger.error("%s failed to start: %s; stopping", slot.spec.name, reason)
            self._exit_code = exit_status
            self._begin_stop()
            return
        now = time.monotonic()
        delay_seconds = slot.backoff.delay_after(now - slot.started_at)
        slot.start_at = now + delay_seconds
        logger.error("%s ended: %s; restarting in %.1f s", slot.spec.name, reason, delay_seconds)

    def _begin_stop(self) -> None:
        if self._is_stopping:
            return
        self._is_stopping = True
        for slot in self._slots:
            slot.start_at = math.inf
        self._on_stop()

    def _continue_stop(self, now: float) -> None:
        """Tell the lowest stage that still runs to stop, and kill what outstays its time."""
        living = self._living()
        if not living:
            self._kill_at = math.inf
            return
        stage = min(slot.spec.stage for slot, _ in living)
        members = [(slot, process) for slot, process in living if slot.spec.stage == stage]
        if stage != self._stopping_stage:
            self._stopping_stage = stage
            self._kill_at = now + self._stop_seconds
            for _, process in members:
                process.terminate()
        elif self._kill_at <= now:
            self._kill_at = math.inf
            self._kill(members)

    def _kill(self, victims: list[tuple[_Slot, ChildProcess]]) -> None:
        for slot, process in victims:
            logger.warning("killing %s (pid %d)", slot.spec.name, process.pid)
            process.kill()
            self._exit_code = self._exit_code or EXIT_KILLED

    def _living(self) -> list[tuple[_Slot, ChildProcess]]:
        return [(slot, slot.process) for slot in self._slots if slot.process is not None]

    def _close(self) -> None:
        """Leave nothing behind; children still run only if a callback raised."""
        for _, process in self._living():
            process.kill()
            process.close_ready_fd()
            process.reap()
        for _, process in self._zombies:
            process.reap()
        self._selector.close()
        self._signals.close()
        for fd in self._child_parent_pipe:
            os.close(fd)
