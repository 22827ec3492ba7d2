"""Events for a coroutine, one after the other, with nothing lost in silence."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from toto._core.event_history import CURSOR_START, HistoryPage, RecordedEvent, number_of, order_of
from toto.exceptions import ERROR_OVERLOADED, TotoException

__all__ = ["Event", "EventPage", "EventSubscription", "HistorySource", "SlowConsumer"]

SlowConsumer = Literal["block", "drop_oldest", "close"]

CURSOR_LENGTH_MAX = 64
SECOND_LOOK_SECONDS = 0.25
"""By then the news of a subscription has long reached the gateways."""
WAITING_BYTES_MAX = 8 * 1024 * 1024
"""Of one subscription, whatever its policy."""
READ_EVENTS = 100
"""Read from the history at a time."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a subscription gives it."""

    args: Any
    cursor: str = ""
    """Its place in the history, to go on behind it later; empty when events are not recorded."""
    has_gap: bool = False
    """Events before this one have been lost for this subscriber."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """What one long-poll gives."""

    events: tuple[Event, ...]
    cursor: str
    """Where the next poll goes on; empty when events are not recorded."""
    has_gap: bool
    """Events before these have been lost for this subscriber."""


class HistorySource(Protocol):
    """Reads what is kept of the events."""

    async def read(self, name: str, since: str, count_max: int) -> HistoryPage:
        """Return what followed a cursor."""

    async def latest(self, name: str) -> str:
        """Return the cursor of the last event."""


class _ReadHistory:
    """Stands in the queue where events may be missing."""


class WaitingEvent(Protocol):
    """An event that has come."""

    cursor: str
    size: int

    def value(self) -> Any:
        """Return its arguments."""


class EventSubscription(AsyncIterator[Event]):
    """The events of one name. Used on the event loop alone; ``async for`` gives them in order.

    With a history it goes on where ``since`` says, and reads there what it has missed when the way
    of the events was interrupted or when it was too slow; ``has_gap`` tells of what is not there
    either. Without one it can only say that something is missing when it knows.

    Args:
        name: of the events.
        history: what is kept of them; None = nothing is.
        since: the cursor of the last event that is known; None begins with the next event.
        slow_consumer: what happens when more than ``queue_max`` events wait. ``drop_oldest`` leaves
            the oldest out, and the next one has ``has_gap``. ``close`` ends with error 1103.
            ``block`` loses nothing: with a history it reads what waits from there, otherwise it
            lets up to 8 MiB of events wait before it ends with error 1103.
        queue_max: events that may wait.
        loads: decodes the arguments of events that are read from the history.
        on_close: called once, when no more events are wanted.
    """

    def __init__(
        self,
        name: str,
        history: HistorySource | None,
        *,
        since: str | None,
        slow_consumer: SlowConsumer,
        queue_max: int,
        loads: Callable[[bytes], Any],
        on_close: Callable[["EventSubscription"], None],
    ) -> None:
        self.name = name
        self._loop = asyncio.get_running_loop()
        self._history = history
        self._slow_consumer = slow_consumer
        self._queue_max = queue_max
        self._loads = loads
        self._on_close = on_close
        # Lists, for what a deque takes even when it is empty: thousands may wait for one event.
        self._queue: list[WaitingEvent | _ReadHistory] = []
        self._read: list[RecordedEvent] = []
        self._read_end = ""
        self._waiting_bytes = 0
        # An empty one is what a client has that was told none; a number may come from JSON.
        since = None if since is None else str(since)[:CURSOR_LENGTH_MAX] or None
        self._last = since or ""
        self._has_gap = False
        self._is_too_slow = False
        self._is_closed = False
        self._waiter: asyncio.Future[None] | None = None
        self._second_look: asyncio.TimerHandle | None = None
        if history is not None:
            # The history may be read while the gateways do not know of this subscription yet: what
            # is recorded in between reaches nobody.
            self._second_look = self._loop.call_later(SECOND_LOOK_SECONDS, self._look_again)
        if since is not None:
            if history is None:
                self._has_gap = True  # nobody can tell what followed the cursor
            else:
                self._queue.append(_ReadHistory())

    # -- for methods

    async def __anext__(self) -> Event:
        """Return the next event, when it has come.

        Raises:
            TotoException: the client is too slow (1103), or the history cannot be read (1107).
        """
        while (event := await self._next_waiting()) is None:
            if self._is_closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return event

    async def next_page(self, count_max: int = READ_EVENTS) -> EventPage:
        """Return the events that have come, at least one unless there is a gap to tell of.

        Raises:
            TotoException: as for a single event.
        """
        event = await self._next_waiting()
        if event is None and self._has_gap:
            self._has_gap = False
            return EventPage((), self._cursor, has_gap=True)
        if event is None:
            event = await anext(self, None)
        return self.page_at_hand(count_max, event)

    def page_at_hand(self, count_max: int, first: Event | None = None) -> EventPage:
        """Return what can be given without waiting; perhaps nothing.

        Args:
            count_max: the most events.
            first: one that was taken already.
        """
        events = [] if first is None else [first]
        while len(events) < count_max and (event := self._next_at_hand()) is not None:
            events.append(event)
        has_gap = any(each.has_gap for each in events)
        if not events:
            has_gap, self._has_gap = self._has_gap, False
        return EventPage(tuple(events), self._cursor, has_gap)

    async def position(self) -> str:
        """Return the cursor behind which the next event comes; empty without a history.

        A client that has got no event yet can be told it, so that it can come back.

        Raises:
            TotoException: the history cannot be read (1107).
        """
        if self._history is None:
            return ""
        if self._last and number_of(self._last) is None:
            return CURSOR_START  # what is known of it stands in the history, which is read next
        if not self._last:
            # What came before that is not given any more.
            self._begin_behind(await self._history.latest(self.name))
        return self._last

    async def find_place(self) -> None:
        """As ``position``, if no event has come yet: then its cursor is what counts.

        Raises:
            TotoException: the history cannot be read (1107).
        """
        if self._history is not None and not self._last and not self._queue:
            latest = await self._history.latest(self.name)
            if not self._queue:
                self._begin_behind(latest)

    # -- for the event manager

    def take(self, event: WaitingEvent) -> None:
        """Let an event that has come wait for its turn."""
        if self._is_closed or self._is_too_slow:
            return
        self._queue.append(event)
        self._waiting_bytes += event.size
        is_over = self._waiting_bytes > WAITING_BYTES_MAX
        if is_over or len(self._queue) > self._queue_max:
            self._shorten(is_over=is_over)
        self._wake()

    def missed(self) -> None:
        """Events may be missing here: look into the history when this place is reached."""
        if self._history is None or not self._last:
            self._has_gap = True
        elif not any(isinstance(each, _ReadHistory) for each in self._queue):
            self._queue.append(_ReadHistory())
            self._wake()

    @property
    def is_closed(self) -> bool:
        """True once no more events are given."""
        return self._is_closed

    def close_soon(self) -> None:
        """Close, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self.close)

    def close(self) -> None:
        """Give no more events; a second time does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._second_look is not None:
            self._second_look.cancel()
        self._drop_all()
        self._read.clear()
        self._wake()
        self._on_close(self)

    # -- inside

    def _look_again(self) -> None:
        if self._last:
            self.missed()

    def _begin_behind(self, cursor: str) -> None:
        if not self._last:  # an event may have come meanwhile
            self._last = cursor

    @property
    def _cursor(self) -> str:
        """What the client is told: nothing that it cannot use."""
        return "" if self._history is None else self._last

    def _shorten(self, *, is_over: bool) -> None:
        if self._slow_consumer == "drop_oldest":
            self._drop_oldest()
        elif self._slow_consumer == "close":
            self._drop_all()
            self._is_too_slow = True
        elif self._history is not None and number_of(self._last) is not None:
            self._drop_all()
            self._queue.append(_ReadHistory())
        elif is_over:
            self._is_too_slow = True  # once those that wait have been given

    def _drop_oldest(self) -> None:
        while len(self._queue) > 1 and (
            len(self._queue) > self._queue_max or self._waiting_bytes > WAITING_BYTES_MAX
        ):
            dropped = self._queue.pop(0)
            if not isinstance(dropped, _ReadHistory):
                self._waiting_bytes -= dropped.size
                if not self._is_known(dropped.cursor):
                    self._last = dropped.cursor or self._last  # left out, not to be read again
            self._has_gap = True

    def _drop_all(self) -> None:
        self._queue.clear()
        self._waiting_bytes = 0

    async def _next_waiting(self) -> Event | None:
        """Return the next event that is here; None when there is none."""
        while not self._is_closed:
            event = self._next_at_hand()
            if event is not None:
                return event
            if not self._queue:
                if self._is_too_slow:
                    raise TotoException(ERROR_OVERLOADED, "The client is too slow for its events.")
                return None
            if isinstance(self._queue[0], _ReadHistory):
                await self._read_on(self._queue.pop(0))
            else:
                await self._catch_up(self._queue[0])
        return None

    def _next_at_hand(self) -> Event | None:
        """Return the next event; None when there is none, or the history must be read first."""
        if self._read:
            recorded = self._read.pop(0)
            event = self._given(self._loads(recorded.payload), recorded.cursor)
            if not self._read:
                self._last = self._read_end or self._last  # a mark behind it has been told
            return event
        while self._queue:
            waiting = self._queue[0]
            if isinstance(waiting, _ReadHistory):
                return None
            is_known = self._is_known(waiting.cursor)
            if not is_known and not self._is_next(waiting.cursor):
                return None
            self._take_first(waiting)
            if not is_known:
                return self._given(waiting.value(), waiting.cursor)
        return None

    def _take_first(self, waiting: WaitingEvent) -> None:
        self._queue.pop(0)
        self._waiting_bytes -= waiting.size

    async def _catch_up(self, waiting: WaitingEvent) -> None:
        """Read what is missing before an event: two gateways pass on what both have recorded in
        any order, but it can be read in one."""
        await self._read_on(None)
        if not self._read and self._queue and self._queue[0] is waiting:
            # The history does not know it either.
            self._has_gap = True
            self._last = ""

    async def _read_on(self, sign: "_ReadHistory | WaitingEvent | None") -> None:
        """Read the next events; the sign goes back when there may be more."""
        if self._history is None:
            return
        is_complete = False
        try:
            page = await self._history.read(self.name, self._last or CURSOR_START, READ_EVENTS)
            self._has_gap = self._has_gap or page.has_gap
            self._read.extend(page.events)
            self._read_end = page.end
            if not page.events and (page.end or page.has_gap):
                # Behind a mark; or the cursor is not known, and whatever comes is behind it.
                self._last = page.end or CURSOR_START
            is_complete = len(page.events) < READ_EVENTS
        finally:
            if sign is not None and not is_complete and not self._is_closed:
                self._queue.insert(0, sign)

    def _is_known(self, cursor: str) -> bool:
        order, last = order_of(cursor), order_of(self._last)
        return order is not None and last is not None and order <= last

    def _is_next(self, cursor: str) -> bool:
        """Tell whether nothing is missing before an event, as far as that can be told."""
        number, last = number_of(cursor), number_of(self._last)
        return number is None or last is None or number == last + 1

    def _given(self, args: Any, cursor: str) -> Event:
        if cursor:
            self._last = cursor
        has_gap, self._has_gap = self._has_gap, False
        return Event(args, cursor, has_gap)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
