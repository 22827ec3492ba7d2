"""What a supervisor runs, and a child's ties to it. Knows nothing of the supervisor's loop."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

__all__ = ["ChildContext", "ChildSpec", "Command", "follow_parent", "signal_on_parent_death"]

READY_FD_VARIABLE = "TOTO_READY_FD"
PARENT_FD_VARIABLE = "TOTO_PARENT_FD"

_PR_SET_PDEATHSIG = 1


class ChildContext:
    """A child's ties to its supervisor.

    `parent_pipe` is never written to: it becomes readable (end of file) when the supervisor is
    gone, however it ended.
    """

    def __init__(self, *, ready_fd: int, parent_pipe: int) -> None:
        self.parent_pipe = parent_pipe
        self._ready_fd = ready_fd

    def ready(self) -> None:
        """Tell the supervisor, once, that this child now does its work."""
        if self._ready_fd < 0:
            return
        with contextlib.suppress(BrokenPipeError):  # nobody is left to be told
            os.write(self._ready_fd, b"\n")
        self._close_ready_fd()

    def close(self) -> None:
        """Drop both ties; the supervisor learns nothing from it."""
        self._close_ready_fd()
        if self.parent_pipe >= 0:
            os.close(self.parent_pipe)
            self.parent_pipe = -1

    def _close_ready_fd(self) -> None:
        if self._ready_fd >= 0:
            os.close(self._ready_fd)
            self._ready_fd = -1


@dataclass(frozen=True, slots=True)
class Command:
    """A program to start, with variables to add to the environment it inherits."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """One child to keep running.

    Args:
        name: stands in the logs.
        stage: when to stop it; a stage is told once the lower ones are gone.
        start: a function to run in a fork, which returns the exit code; or a command.
    """

    name: str
    stage: int
    start: Callable[[ChildContext], int] | Command


def follow_parent(environment: MutableMapping[str, str]) -> ChildContext | None:
    """Return a command's ties to the supervisor that started it; None if it was started by hand.

    The variables are removed: what this process starts is not the supervisor's child.
    """
    ready_fd = environment.pop(READY_FD_VARIABLE, None)
    parent_pipe = environment.pop(PARENT_FD_VARIABLE, None)
    if ready_fd is None or parent_pipe is None:
        return None
    os.set_inheritable(int(ready_fd), False)
    os.set_inheritable(int(parent_pipe), False)
    signal_on_parent_death()
    return ChildContext(ready_fd=int(ready_fd), parent_pipe=int(parent_pipe))


def signal_on_parent_death() -> None:
    """Ask the kernel for a SIGTERM when the parent dies, where it can do that (Linux).

    A parent that died before is not noticed; a refusal is no error, `parent_pipe` tells the same.
    """
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        unused = ctypes.c_ulong(0)
        prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGTERM), unused, unused, unused)
