"""Subscriptions of slow clients, and of all that befalls events on their way."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toto._core.event_subscription import Event, EventSubscription
from toto.exceptions import ERROR_OVERLOADED, TotoException
from toto_testkit.event_history import (
    MemoryHistory,
    WaitingEvent,
    numbers,
    run,
    subscription,
    taken,
)


def test_block_reads_what_it_cannot_hold_from_the_history() -> None:
    """A slow client loses nothing that is kept, and memory is bounded."""

    async def scenario() -> None:
        history = MemoryHistory()
        each = subscription(history, queue_max=3)
        for number in range(1, 301):
            each.take(WaitingEvent(number, history.add(number)))
            if number == 1:
                await taken(each, 1)

        assert numbers(await taken(each, 299)) == list(range(2, 301))

    run(scenario)


def test_block_without_a_history_holds_eight_megabytes() -> None:
    """Beyond that it gives what it has, and then the error."""

    async def scenario() -> None:
        each = subscription()
        for number in range(9):
            each.take(WaitingEvent(number, "", size=1024 * 1024))

        events = await taken(each, 9)
        with pytest.raises(TotoException) as caught:
            await anext(each)

        assert numbers(events) == list(range(9))
        assert caught.value.code == ERROR_OVERLOADED

    run(scenario)


def test_drop_oldest_keeps_the_latest_and_tells() -> None:
    """By number and by size."""

    async def scenario() -> None:
        each = subscription(slow_consumer="drop_oldest", queue_max=3)
        for number in range(10):
            each.take(WaitingEvent(number, ""))
        by_number = await taken(each, 3)
        for number in range(3):
            each.take(WaitingEvent(number, "", size=5 * 1024 * 1024))
        by_size = await taken(each, 1)

        assert by_number == [Event(7, has_gap=True), Event(8), Event(9)]
        assert by_size == [Event(2, has_gap=True)]

    run(scenario)


def test_close_ends_with_an_error() -> None:
    """At once, whatever waits."""

    async def scenario() -> None:
        each = subscription(slow_consumer="close", queue_max=3)
        for number in range(4):
            each.take(WaitingEvent(number, ""))

        with pytest.raises(TotoException) as caught:
            await anext(each)
        assert caught.value.code == ERROR_OVERLOADED

    run(scenario)


def test_one_that_is_closed_ends() -> None:
    """Whoever waits is told, and the manager once."""

    async def scenario() -> None:
        closed: list[EventSubscription] = []
        each = subscription(closed=closed)
        waiting = asyncio.create_task(_all(each))
        await asyncio.sleep(0)
        each.close()
        each.close()
        each.take(WaitingEvent(1, ""))

        assert await waiting == []
        assert closed == [each]

    run(scenario)


async def _all(each: EventSubscription) -> list[Event]:
    return [event async for event in each]


STEPS = st.lists(
    st.sampled_from(
        ["event", "lost event", "swapped events", "missed", "take one", "missed while reading"]
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.sampled_from([1, 3, 50]))
def test_nothing_is_lost_doubled_or_out_of_order(steps: list[str], queue_max: int) -> None:
    """Whatever gets lost on its way, once that has been told; any client is fast or slow."""

    async def scenario() -> None:
        story = Story(queue_max)
        for step in [*steps, "missed"]:
            await story.happens(step)
        while await story.take_one():
            pass

        assert story.got == story.history.numbers

    run(scenario)


class Story:
    """A subscriber from the first event on, and what befalls the events."""

    def __init__(self, queue_max: int) -> None:
        self.history = MemoryHistory()
        self.got: list[int] = []
        self.each = subscription(self.history, since="0", queue_max=queue_max)

    async def happens(self, step: str) -> None:
        if step == "missed":
            self.each.missed()
        elif step == "missed while reading":
            self.history.on_read = self._lose_one
        elif step == "take one":
            await self.take_one()
        elif step == "swapped events":
            # Two gateways have recorded one each, and the later one is quicker to pass it on.
            both = [self._record(), self._record()]
            for event in reversed(both):
                self.each.take(event)
        else:
            self._send(arrives=step == "event")

    async def take_one(self) -> bool:
        event = await self.each._next_waiting()
        if event is None:
            return False
        assert not event.has_gap
        self.got.append(event.args)
        return True

    def _send(self, *, arrives: bool) -> None:
        event = self._record()
        if arrives:
            self.each.take(event)
        else:
            self.each.missed()

    def _record(self) -> WaitingEvent:
        number = len(self.history.numbers) + 1
        return WaitingEvent(number, self.history.add(number))

    def _lose_one(self) -> None:
        self.history.on_read = lambda: None
        self._send(arrives=False)
        self._send(arrives=True)
