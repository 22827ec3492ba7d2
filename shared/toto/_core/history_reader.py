"""Reads the history of events for coroutines, off the event loop."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from toto._core.event_history import EventHistory, HistoryPage
from toto._core.failure import Failure
from toto._core.stores.breaker import Breaker
from toto._core.stores.guard import DaemonThreads, Job
from toto._core.stores.store import StoreUnavailable
from toto.exceptions import TotoException

__all__ = ["HistoryReader"]

READ_THREADS = 4
READS_MAX = 1000
"""Different ones that wait or run; while the store hangs there must not be ever more."""


class HistoryReader:
    """Shares one reading among all who ask for the same before it begins.

    Thousands of long-polls that one event has answered come back together, with one cursor.

    Args:
        open_history: opens the store; called once, when something is first read.
        loop: the worker's event loop.
    """

    def __init__(
        self, open_history: Callable[[], EventHistory], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._open = open_history
        self._loop = loop
        self._threads = DaemonThreads(READ_THREADS, "toto-history")
        self._lock = threading.Lock()
        self._history: EventHistory | None = None
        self._breaker = Breaker()
        self._reading: dict[tuple[str, ...], asyncio.Future[Any]] = {}

    async def read(self, name: str, since: str, count_max: int) -> HistoryPage:
        """Return what followed a cursor, as ``EventHistory.read`` does.

        Raises:
            TotoException: the store cannot be reached (1107).
        """
        key = (name, since, str(count_max))
        page: HistoryPage = await self._shared(key, lambda each: each.read(name, since, count_max))
        return page

    async def latest(self, name: str) -> str:
        """Return the cursor of the last event of a name.

        Raises:
            TotoException: the store cannot be reached (1107).
        """
        cursor: str = await self._shared((name,), lambda each: each.latest(name))
        return cursor

    def close(self) -> None:
        """End the threads and the connections."""
        self._threads.close(0)
        if self._history is not None:
            self._history.close()

    async def _shared(self, key: tuple[str, ...], call: Callable[[EventHistory], Any]) -> Any:
        before = self._reading.get(key)
        if before is not None:
            # It may have read before the event that the caller looks for was recorded.
            await asyncio.wait([before])
        reading = self._reading.get(key)
        if reading is None or reading is before:
            reading = self._reading[key] = self._start(call)
            reading.add_done_callback(partial(self._forget, key))
        try:
            return await asyncio.shield(reading)
        except StoreUnavailable:
            failure = Failure.unavailable()
            raise TotoException(failure.code, failure.value) from None

    def _forget(self, key: tuple[str, ...], reading: asyncio.Future[Any]) -> None:
        if self._reading.get(key) is reading:
            del self._reading[key]

    def _start(self, call: Callable[[EventHistory], Any]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()

        def settle() -> None:
            self._breaker.ended(job.error)
            if future.cancelled():
                return
            try:
                future.set_result(job.outcome())
            except BaseException as error:  # noqa: BLE001  # it belongs to those who wait
                future.set_exception(error)
                future.exception()  # perhaps all of them have gone

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(settle)

        job = Job(partial(self._call, call), wake)
        is_busy = len(self._reading) >= READS_MAX
        if is_busy or not self._breaker.allows() or not self._threads.run(job):
            future.set_exception(StoreUnavailable())
        return future

    def _call(self, call: Callable[[EventHistory], Any]) -> Any:
        with self._lock:
            if self._history is None:
                self._history = self._open()
        return call(self._history)
