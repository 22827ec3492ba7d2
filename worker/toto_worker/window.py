"""How much of a stream may be under way: bytes of credit, awaited by threads and coroutines."""

import asyncio
import contextlib
import threading

from toto._wire.constants import STREAM_PIECE_BYTES

__all__ = ["CallCancelled", "CreditWindow"]


class CallCancelled(BaseException):
    """Nobody waits for the answer any more. Not an ``Exception``: a method's own handler for those
    must not swallow it."""


class CreditWindow:
    """Bytes a call may still send before the client has taken some.

    Args:
        size: the window at the start, in bytes.
        loop: the event loop whose coroutines may wait here.
    """

    def __init__(self, size: int, loop: asyncio.AbstractEventLoop) -> None:
        self._credit = size
        self._is_closed = False
        self._loop = loop
        self._lock = threading.Lock()
        # Made when a thread waits: most calls never do, and thousands may be open.
        self._condition: threading.Condition | None = None
        self._waiters: list[asyncio.Future[None]] = []

    def add(self, size: int) -> None:
        """Give credit back."""
        with self._lock:
            self._credit += size
            self._wake()

    def close(self) -> None:
        """Let every waiter raise ``CallCancelled``."""
        with self._lock:
            self._is_closed = True
            self._wake()

    def take(self, size_max: int) -> int:
        """Wait for credit, and return how long the next piece may be: ``size_max`` at most.

        A piece costs its length and a fixed charge, for which the credit may go below zero.

        Raises:
            CallCancelled: when the call was cancelled.
        """
        with self._lock:
            while self._credit <= 0 and not self._is_closed:
                if self._condition is None:
                    self._condition = threading.Condition(self._lock)
                self._condition.wait()
            return self._grab(size_max)

    async def take_async(self, size_max: int) -> int:
        """As ``take``, without blocking the event loop."""
        while True:
            with self._lock:
                if self._credit > 0 or self._is_closed:
                    return self._grab(size_max)
                waiter = self._loop.create_future()
                self._waiters.append(waiter)
            try:
                await waiter
            finally:
                with self._lock:
                    if waiter in self._waiters:
                        self._waiters.remove(waiter)

    def _grab(self, size_max: int) -> int:
        if self._is_closed:
            raise CallCancelled
        taken = min(size_max, self._credit)
        self._credit -= taken + STREAM_PIECE_BYTES
        return taken

    def _wake(self) -> None:
        if self._condition is not None:
            self._condition.notify_all()
        # A stream and a message beside it may wait at the same time.
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            # A closed loop: the process is stopping and nothing waits there any more.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_resolve, waiter)


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
