"""Subscriptions: in order, bounded, and honest about what is missing."""

import asyncio

import pytest

from toto._core.event_subscription import Event
from toto.exceptions import ERROR_UNAVAILABLE, TotoException
from toto_testkit.event_history import (
    MemoryHistory,
    WaitingEvent,
    numbers,
    run,
    subscription,
    taken,
)


def test_events_come_in_order_and_are_waited_for() -> None:
    """Those that were there already, and those that come later."""

    async def scenario() -> None:
        each = subscription()
        each.take(WaitingEvent(1, ""))
        each.take(WaitingEvent(2, ""))
        first = await taken(each, 2)
        later = asyncio.create_task(taken(each, 1))
        await asyncio.sleep(0)
        each.take(WaitingEvent(3, ""))

        assert first == [Event(1), Event(2)]
        assert await later == [Event(3)]

    run(scenario)


def test_it_goes_on_behind_a_cursor() -> None:
    """With what the history has, then with what comes, each event once."""

    async def scenario() -> None:
        history = MemoryHistory()
        for number in range(1, 251):
            history.add(number)
        each = subscription(history, since="7")
        each.take(WaitingEvent(250, "250"))
        each.take(WaitingEvent(251, history.add(251)))

        events = await taken(each, 244)

        assert numbers(events) == list(range(8, 252))
        assert [event.cursor for event in events] == [str(n) for n in range(8, 252)]
        assert not any(event.has_gap for event in events)

    run(scenario)


@pytest.mark.parametrize("since", ["3", "garbage"])
def test_a_gap_is_told_with_the_next_event(since: str) -> None:
    """When the history has lost what followed the cursor, or does not know the cursor."""

    async def scenario() -> None:
        history = MemoryHistory(length=5)
        for number in range(1, 21):
            history.add(number)

        events = await taken(subscription(history, since=since), 5)

        assert numbers(events) == [16, 17, 18, 19, 20]
        assert [event.has_gap for event in events] == [True, False, False, False, False]

    run(scenario)


def test_without_a_history_a_cursor_is_a_gap() -> None:
    """Nobody can tell what followed it."""

    async def scenario() -> None:
        each = subscription(None, since="7")
        each.take(WaitingEvent(1, ""))

        assert await taken(each, 1) == [Event(1, "", has_gap=True)]
        assert await each.position() == ""

    run(scenario)


def test_a_page_holds_all_that_has_come() -> None:
    """Up to its limit; its cursor is that of the last event."""

    async def scenario() -> None:
        history = MemoryHistory()
        for number in range(1, 11):
            history.add(number)
        each = subscription(history, since="0")

        page, rest = await each.next_page(7), await each.next_page(7)

        assert numbers(page.events) == [1, 2, 3, 4, 5, 6, 7]
        assert (page.cursor, page.has_gap) == ("7", False)
        assert numbers(rest.events) == [8, 9, 10]

    run(scenario)


def test_an_empty_cursor_is_none() -> None:
    """What a client sends back that was told no cursor: with a history and without."""

    async def scenario() -> None:
        for history in (None, MemoryHistory(numbers=[1])):
            each = subscription(history, since="")
            each.take(WaitingEvent(2, "2" if history else ""))

            assert [(event.args, event.has_gap) for event in await taken(each, 1)] == [(2, False)]

    run(scenario)


def test_a_page_goes_on_behind_the_last_cursor_that_is_known() -> None:
    """Also when its last event was not recorded: it must not begin anew."""

    async def scenario() -> None:
        each = subscription(MemoryHistory(numbers=[1, 2]), since="2")
        each.take(WaitingEvent(3, ""))

        page = await each.next_page()

        assert (numbers(page.events), page.cursor) == ([3], "2")

    run(scenario)


def test_what_is_at_hand_needs_no_waiting() -> None:
    """A page stops where the history would have to be read; what was taken is in it."""

    async def scenario() -> None:
        history = MemoryHistory(numbers=[1, 2, 3])
        each = subscription(history, since="1")
        each.take(WaitingEvent(2, "2"))
        await taken(each, 1)
        each.missed()
        each.take(WaitingEvent(5, "5"))

        assert each.page_at_hand(10).events == (Event(3, "3"),)
        assert each.page_at_hand(10).events == ()
        assert history.reads == 1

    run(scenario)


def test_an_event_the_history_does_not_have_is_given_with_a_gap() -> None:
    """It cannot be waited for; nobody knows what was before it."""

    async def scenario() -> None:
        each = subscription(MemoryHistory(numbers=[1]), since="1")
        each.take(WaitingEvent(7, "7"))
        each.take(WaitingEvent(8, "8"))

        events = await taken(each, 2)

        assert [(event.args, event.has_gap) for event in events] == [(7, True), (8, False)]

    run(scenario)


def test_a_loss_before_the_first_event_is_told() -> None:
    """With the first event."""

    async def scenario() -> None:
        each = subscription(MemoryHistory())
        each.missed()
        each.take(WaitingEvent(1, "1"))

        assert await taken(each, 1) == [Event(1, "1", has_gap=True)]

    run(scenario)


def test_what_was_left_out_is_not_read_again() -> None:
    """``drop_oldest`` means it, with a history too."""

    async def scenario() -> None:
        history = MemoryHistory()
        each = subscription(history, since="0", slow_consumer="drop_oldest", queue_max=3)
        for number in range(1, 10):
            each.take(WaitingEvent(number, history.add(number)))
            if number == 1:
                await taken(each, 1)

        events = await taken(each, 3)

        assert [(event.args, event.has_gap) for event in events] == [
            (7, True),
            (8, False),
            (9, False),
        ]

    run(scenario)


def test_a_page_tells_of_a_gap_at_once() -> None:
    """When nothing is left behind an unknown cursor, with the place to go on from."""

    async def scenario() -> None:
        page = await subscription(MemoryHistory(), since="gone").next_page()

        assert (page.events, page.cursor, page.has_gap) == ((), "0", True)

    run(scenario)


def test_one_who_has_seen_nothing_can_be_told_the_place() -> None:
    """And comes back to it without losing anything."""

    async def scenario() -> None:
        history = MemoryHistory()
        history.add(1)
        place = await subscription(history).position()
        history.add(2)

        events = await taken(subscription(history, since=place), 1)

        assert place == "1"
        assert numbers(events) == [2]

    run(scenario)


def test_what_was_missed_is_read() -> None:
    """In its place in the order, and only when events may be missing."""

    async def scenario() -> None:
        history = MemoryHistory()
        each = subscription(history)
        each.take(WaitingEvent(1, history.add(1)))
        first = await taken(each, 1)
        history.add(2)  # it never came
        each.missed()
        each.missed()
        each.take(WaitingEvent(3, history.add(3)))

        assert numbers(first + await taken(each, 2)) == [1, 2, 3]
        assert history.reads == 1

    run(scenario)


def test_without_a_history_a_miss_is_a_gap() -> None:
    """Told with the next event."""

    async def scenario() -> None:
        each = subscription()
        each.missed()
        each.take(WaitingEvent(1, ""))

        assert await taken(each, 1) == [Event(1, "", has_gap=True)]

    run(scenario)


def test_a_history_that_is_away_is_an_error_and_nothing_is_lost() -> None:
    """Whoever tries again reads on."""

    async def scenario() -> None:
        history = MemoryHistory(is_away=True)
        history.add(1)
        each = subscription(history, since="0")
        with pytest.raises(TotoException) as caught:
            await anext(each)
        history.is_away = False

        assert caught.value.code == ERROR_UNAVAILABLE
        assert numbers(await taken(each, 1)) == [1]

    run(scenario)
