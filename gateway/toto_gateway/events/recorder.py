"""Keeps broadcast events, in their order, without making anybody wait for a store that is away."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from toto._core.event_history import EventHistory, NewEvent
from toto._core.stores.breaker import RETRY_SECONDS
from toto._core.stores.guard import DaemonThreads, Job
from toto._core.stores.store import StoreUnavailable
from toto_gateway.events.gap_names import GapNames

__all__ = ["EventRecorder"]

_log = logging.getLogger("toto.events")

BATCH_EVENTS = 256
BATCH_BYTES = 4 * 1024 * 1024
"""No event is longer than an eighth of it."""
WAITING_EVENTS_MAX = 20_000
WAITING_BYTES_MAX = 32 * 1024 * 1024
TURN_EVENTS = 256
"""Passed on in one turn of the event loop."""
CLOSE_SECONDS = 2.0

Then = Callable[[str], None]


class _Waiting(NamedTuple):
    event: NewEvent
    then: Then


class _Write:
    """What the thread does at a time: it marks gaps, and then appends events."""

    def __init__(self, history: EventHistory, marks: list[str], batch: list[_Waiting]) -> None:
        self.marks = marks
        self.batch = batch
        self.is_given_up = False
        self._history = history

    def __call__(self) -> list[str]:
        if self.marks:
            self._history.mark_gap(self.marks)
            self.marks = []
        if not self.batch or self.is_given_up:
            return []
        cursors = self._history.append([each.event for each in self.batch])
        if len(cursors) != len(self.batch):
            raise RuntimeError(f"{len(cursors)} cursors for {len(self.batch)} events")
        return cursors


class EventRecorder:
    """Appends events to the history, all that wait at a time, and passes them on with a cursor.

    When the store is away or too slow, what waits and what comes is passed on at once without a
    cursor, until the store takes the marks of what it has missed: one attempt every half second,
    which no event waits for. A name's mark is in the history before its next event, and soon
    after the store is back even without one. Only marks that are left when this is closed are
    lost.

    Args:
        history: where events are kept; closed with this recorder.
        loop: the event loop; all but the history's methods runs there.
        timeout_seconds: longest wait for one batch.
        retry_seconds: from one attempt to the next while the store is away.
    """

    def __init__(
        self,
        history: EventHistory,
        *,
        loop: asyncio.AbstractEventLoop,
        timeout_seconds: float,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._history = history
        self._loop = loop
        self._timeout_seconds = timeout_seconds
        self._retry_seconds = retry_seconds
        # One thread: two would record in another order than events are passed on.
        self._threads = DaemonThreads(1, "toto-recorder")
        self._gaps = GapNames()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._write: _Write | None = None
        self._job: Job | None = None
        self._done: deque[tuple[Then, str]] = deque()
        self._is_passing_on = False
        self._is_away = False
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        """Of the job, or of the next attempt."""
        self._idle = asyncio.Event()
        self._idle.set()

    def record(self, name: str, payload: bytes, then: Then) -> None:
        """Keep an event, and call ``then`` with its cursor; it does not wait.

        ``then`` is called in the order of the events, with an empty text for one that could not be
        recorded.
        """
        each = _Waiting(NewEvent(name, payload), then)
        if self._is_away or self._is_closed:
            self._miss(each)
            self._pass_on()
            return
        self._waiting.append(each)
        self._waiting_bytes += len(payload)
        if len(self._waiting) > WAITING_EVENTS_MAX or self._waiting_bytes > WAITING_BYTES_MAX:
            self._fail("more events wait than can be held")
        elif self._job is None:
            self._begin()

    async def close(self) -> None:
        """Record and mark what is left if that is quickly done, and end the thread and the
        connections; may be called twice."""
        if self._is_closed:
            return
        if self._is_away and self._job is None:
            self._try_again()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._idle.wait()
        self._is_closed = True
        if self._job is not None or self._waiting:
            self._fail("the gateway stops")
        self._end_job()
        while self._done:
            self._pass_on()
        if self._gaps:
            _log.error("gaps in the history of %d events are not marked", len(self._gaps))
        self._threads.close(0)
        await self._loop.run_in_executor(None, self._history.close)

    # -- writing

    def _begin(self) -> None:
        """Have written what there is to write."""
        batch = self._next_batch()
        marks = self._gaps.take(each.event.name for each in batch)
        if not batch and not marks:
            self._recover()  # from an attempt whose success came too late
            self._idle.set()
            return
        self._write = _Write(self._history, marks, batch)
        self._job = Job(self._write, partial(self._wake, self._write))
        self._idle.clear()
        self._timer = self._loop.call_later(
            self._timeout_seconds, self._fail, "the store does not answer in time"
        )
        if not self._threads.run(self._job):
            self._fail("a call that was given up has not ended")

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < BATCH_EVENTS and size < BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += len(batch[-1].event.payload)
        self._waiting_bytes -= size
        return batch

    def _wake(self, write: _Write) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._on_written, write)

    def _on_written(self, write: _Write) -> None:
        if write is not self._write or self._job is None:
            return  # it was given up
        try:
            cursors: list[str] = self._job.outcome()
        except StoreUnavailable:
            self._fail("the store is away")
        except Exception as error:  # noqa: BLE001  # the edge: events must reach their workers
            self._fail("the history failed", error)
        else:
            self._end_job()
            self._recover()
            self._done.extend(
                (each.then, cursor) for each, cursor in zip(write.batch, cursors, strict=True)
            )
            self._pass_on()
            if self._job is None and not self._is_away:  # unless somebody above recorded more
                self._begin()

    def _end_job(self) -> None:
        self._job = self._write = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- while the store is away

    def _fail(self, reason: str, error: Exception | None = None) -> None:
        """Pass on all there is without recording it, and try again later."""
        write, job = self._write, self._job
        self._end_job()
        if write is not None and job is not None:
            self._threads.give_up(job)
            write.is_given_up = True
            for name in write.marks:
                self._gaps.add(name)
            for each in write.batch:
                self._miss(each)
        while self._waiting:
            self._miss(self._waiting.popleft())
        self._waiting_bytes = 0
        if not self._is_away:
            self._is_away = True
            _log.error("events are passed on without being recorded: %s", reason, exc_info=error)
        if not self._is_closed:
            self._timer = self._loop.call_later(self._retry_seconds, self._try_again)
        self._idle.set()
        self._pass_on()

    def _try_again(self) -> None:
        self._end_job()
        self._begin()

    def _recover(self) -> None:
        if self._is_away:
            self._is_away = False
            _log.warning("events are recorded again")

    def _miss(self, each: _Waiting) -> None:
        self._gaps.add(each.event.name)
        self._done.append((each.then, ""))

    # -- passing on

    def _pass_on(self) -> None:
        """Call back for what is done: in order, whatever the callbacks do, and in small parts."""
        if self._is_passing_on:
            return
        self._is_passing_on = True
        try:
            for _ in range(min(TURN_EVENTS, len(self._done))):
                then, cursor = self._done.popleft()
                self._call(then, cursor)
        finally:
            self._is_passing_on = False
        if self._done:
            self._loop.call_soon(self._pass_on)

    def _call(self, then: Then, cursor: str) -> None:
        try:
            then(cursor)
        except Exception:  # noqa: BLE001  # all others must still be called
            _log.exception("an event was not passed on")
