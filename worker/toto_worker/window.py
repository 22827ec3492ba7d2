"""How much of a stream may be under way: bytes of credit, awaited by threads and coroutines."""

import asyncio
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
        self._condition = threading.Condition()
        self._waiter: asyncio.Future[None] | None = None

    def add(self, size: int) -> None:
        """Give credit back."""
        with self._condition:
            self._credit += size
            self._wake()

    def close(self) -> None:
        """Let every waiter raise ``CallCancelled``."""
        with self._condition:
            self._is_closed = True
            self._wake()

    def take(self, size_max: int) -> int:
        """Wait for credit, and return how long the next piece may be: ``size_max`` at most.

        A piece costs its length and a fixed charge, for which the credit may go below zero.

        Raises:
            CallCancelled: when the call was cancelled.
        """
        with self._condition:
            while self._credit <= 0 and not self._is_closed:
                self._condition.wait()
            return self._grab(size_max)

    async def take_async(self, size_max: int) -> int:
        """As ``take``, without blocking the event loop."""
        while True:
            with self._condition:
                if self._credit > 0 or self._is_closed:
                    return self._grab(size_max)
                waiter = self._waiter = self._loop.create_future()
            await waiter

    def _grab(self, size_max: int) -> int:
        if self._is_closed:
            raise CallCancelled
        taken = min(size_max, self._credit)
        self._credit -= taken + STREAM_PIECE_BYTES
        return taken

    def _wake(self) -> None:
        self._condition.notify_all()
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            try:
                self._loop.call_soon_threadsafe(_resolve, waiter)
            except RuntimeError:
                # The loop is closed: the process is stopping and nothing waits there any more.
                return


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
