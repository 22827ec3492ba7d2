"""A history of events in memory, and events that have come, for tests of subscriptions."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from toto._core.event_history import HistoryPage, RecordedEvent, number_of
from toto._core.event_subscription import Event, EventSubscription, SlowConsumer
from toto.exceptions import ERROR_UNAVAILABLE, TotoException


@dataclass
class WaitingEvent:
    """An event that has come."""

    number: int
    cursor: str
    size: int = 100

    def value(self) -> Any:
        return self.number


@dataclass
class MemoryHistory:
    """The last events of one name, kept in a list."""

    length: int = 1000
    numbers: list[int] = field(default_factory=list)
    first: int = 1
    is_away: bool = False
    reads: int = 0
    on_read: Callable[[], None] = lambda: None

    def add(self, number: int) -> str:
        self.numbers.append(number)
        while len(self.numbers) > self.length:
            del self.numbers[0]
            self.first = self.numbers[0]
        return str(number)

    async def read(self, name: str, since: str, count_max: int) -> HistoryPage:
        await asyncio.sleep(0)
        self.reads += 1
        if self.is_away:
            raise TotoException(ERROR_UNAVAILABLE, "away")
        number = number_of(since)
        behind = -1 if number is None else number
        events = [RecordedEvent(str(n), b"%d" % n) for n in self.numbers if behind < n][:count_max]
        self.on_read()
        await asyncio.sleep(0)
        has_gap = number is None or behind + 1 < self.first
        return HistoryPage(tuple(events), has_gap)

    async def latest(self, name: str) -> str:
        return str(self.numbers[-1]) if self.numbers else "0"


def subscription(
    history: MemoryHistory | None = None,
    since: str | None = None,
    slow_consumer: SlowConsumer = "block",
    queue_max: int = 10,
    closed: list[EventSubscription] | None = None,
) -> EventSubscription:
    return EventSubscription(
        "e",
        history,
        since=since,
        slow_consumer=slow_consumer,
        queue_max=queue_max,
        loads=lambda payload: int(payload),
        on_close=(closed if closed is not None else []).append,
    )


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario on a loop of its own, for ten seconds at most."""

    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scenario()

    asyncio.run(bounded())


async def taken(each: EventSubscription, count: int) -> list[Event]:
    return [await anext(each) for _ in range(count)]


def numbers(events: Sequence[Event]) -> list[int]:
    return [event.args for event in events]
