"""Signals as bytes of a pipe, so that one loop can sleep on signals and other descriptors."""

import os
import signal
from collections.abc import Iterable
from types import FrameType

__all__ = ["SignalPipe"]

_TERMINAL_SIGNALS = frozenset({signal.SIGINT, signal.SIGHUP})
_READ_BYTES = 65_536


class SignalPipe:
    """While it is open, the signals it was made for arrive in `read()` and do nothing else.

    A pipe and not the usual socket pair: it holds 65,536 signals between two reads, a socket pair
    fewer than 300, and a lost SIGTERM would be a stop that never comes.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = tuple(numbers)
        self._read_fd = -1
        self._write_fd = -1
        self._wakeup_fd_before = -1
        self._handlers_before: dict[signal.Signals, object] = {}

    def open(self) -> None:
        """Take the signals over; only the main thread can."""
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._wakeup_fd_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in self._numbers:
            self._handlers_before[number] = signal.signal(number, _do_nothing)

    def close(self) -> None:
        """Give the signals back to whoever had them before."""
        if self._read_fd < 0:
            return
        for number, handler in self._handlers_before.items():
            if callable(handler) or isinstance(handler, int):  # else it was not set from Python
                signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_fd_before)
        self._close_pipe()

    def leave_in_child(self) -> None:
        """Undo `open()` in a forked child; the terminal stays the supervisor's affair alone."""
        signal.set_wakeup_fd(-1)
        for number in self._numbers:
            is_terminal = number in _TERMINAL_SIGNALS
            signal.signal(number, signal.SIG_IGN if is_terminal else signal.SIG_DFL)
        self._close_pipe()

    def fileno(self) -> int:
        """Return the descriptor that is readable when a signal came."""
        return self._read_fd

    def read(self) -> list[signal.Signals]:
        """Return the signals that came since the last call, in their order."""
        try:
            numbers = os.read(self._read_fd, _READ_BYTES)
        except BlockingIOError:
            return []
        # The interpreter also writes the signals for which others have set handlers.
        return [signal.Signals(number) for number in numbers if number in self._numbers]

    def _close_pipe(self) -> None:
        os.close(self._read_fd)
        os.close(self._write_fd)
        self._read_fd = self._write_fd = -1


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Stand for a handler: only a signal that has one is written to the wakeup descriptor."""
