"""Events are passed on in order, recorded or not, and what is not recorded is marked."""

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toto_gateway.events import gap_names
from toto_gateway.events import recorder as recorder_module
from toto_testkit.jumping_loop import pass_time
from toto_testkit.recording import BEGAN, Recording, run_recording

pytestmark = pytest.mark.usefixtures("no_leaks")


def test_events_are_passed_on_with_their_cursors() -> None:
    """In order; those that come meanwhile are recorded together."""

    async def scenario(recording: Recording) -> None:
        recording.history.hold()
        for _ in range(600):
            recording.record()
        recording.history.let_go()
        await recording.settle()

        assert recording.cursors == [str(number) for number in range(600)]
        assert [each.payload for each in recording.passed_on] == [b"%d" % n for n in range(600)]
        assert recording.history.batches == [1, 256, 256, 87]

    run_recording(scenario)


def test_a_batch_of_long_events_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must be written within the time limit."""
    monkeypatch.setattr(recorder_module, "BATCH_BYTES", 20)

    async def scenario(recording: Recording) -> None:
        recording.history.hold()
        passed_on: list[str] = []
        for _ in range(5):
            recording.recorder.record("e", b"x" * 10, passed_on.append)
        recording.history.let_go()
        await recording.until(lambda: len(passed_on) == 5)

        assert recording.history.batches == [1, 2, 2]

    run_recording(scenario)


@pytest.mark.parametrize(("limit", "value"), [("EVENTS", 10), ("BYTES", 12)])
def test_more_than_can_be_held_is_passed_on(
    limit: str, value: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In order, together with the batch that is being written."""
    monkeypatch.setattr(recorder_module, f"WAITING_{limit}_MAX", value)

    async def scenario(recording: Recording) -> None:
        recording.history.hold()
        for _ in range(11):
            recording.record()
        assert recording.cursors == []
        for _ in range(3):
            recording.record()
        assert recording.cursors == [""] * 14

    run_recording(scenario)
    assert caplog.messages[0] == BEGAN + "more events wait than can be held"


def test_what_was_held_once_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither after it was recorded nor after it was passed on without."""
    monkeypatch.setattr(recorder_module, "WAITING_BYTES_MAX", 6)

    async def scenario(recording: Recording) -> None:
        for _ in range(10):
            recording.record()
            await recording.settle()
        assert all(recording.cursors)

        recording.history.hold()
        for _ in range(5):
            recording.record()
        assert not any(recording.cursors[10:])
        recording.history.let_go()
        await recording.retry_until(lambda: recording.history.mark_calls)
        await recording.until(lambda: not recording.recorder._is_away)
        for _ in range(3):
            recording.record()
        await recording.settle()
        assert all(recording.cursors[15:])

    run_recording(scenario)


def test_many_events_do_not_block_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are passed on in parts, and later ones behind them."""
    monkeypatch.setattr(recorder_module, "TURN_EVENTS", 10)

    async def scenario(recording: Recording) -> None:
        recording.history.hold()
        for _ in range(30):
            recording.record()
        asyncio.get_running_loop().call_soon(recording.record, "later")
        await recording.late()
        await recording.settle()

        assert [each.payload for each in recording.passed_on] == [b"%d" % n for n in range(31)]
        assert recording.passed_on[-1].name == "later"

    run_recording(scenario)


@pytest.mark.parametrize("mood", ["works", "away"])
def test_who_is_called_may_record_and_fail(mood: str, caplog: pytest.LogCaptureFixture) -> None:
    """All others are called all the same, in order, and nothing is written twice."""

    async def scenario(recording: Recording) -> None:
        def fail(cursor: str) -> None:
            raise ValueError("a mistake of the caller")

        recording.history.mood = mood
        recording.history.hold()
        recording.record("a", "x", "y")
        recording.recorder.record("b", b"", fail)
        recording.record("c", "z")
        recording.history.let_go()
        await recording.until(lambda: len(recording.passed_on) == 5)

        assert [each.name for each in recording.passed_on] == ["a", *"cxyz"]
        if mood == "works":
            assert [name for name, _ in recording.history.entries] == [*"abcxyz"]

    run_recording(scenario)
    assert "a mistake of the caller" in caplog.text


def test_closing_records_what_waits() -> None:
    """And closes the history once; what comes later is passed on as it is."""

    async def scenario(recording: Recording) -> None:
        for _ in range(300):
            recording.record()
        await recording.recorder.close()
        await recording.recorder.close()
        recording.record()

        assert recording.cursors == [*(str(number) for number in range(300)), ""]
        assert recording.history.closed == 1

    run_recording(scenario)


def test_closing_marks_what_was_missed() -> None:
    """If the store is back by then."""

    async def scenario(recording: Recording) -> None:
        recording.history.mood = "away"
        for number in range(500):
            recording.record(str(number))
        await recording.settle()
        recording.history.mood = "works"
        await recording.recorder.close()

        assert sorted(recording.history.entries) == sorted((str(n), None) for n in range(500))

    run_recording(scenario)


def test_closing_passes_all_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are."""
    monkeypatch.setattr(recorder_module, "TURN_EVENTS", 1)

    async def scenario(recording: Recording) -> None:
        recording.history.hold()
        for _ in range(30):
            recording.record()
        closing = asyncio.ensure_future(recording.recorder.close())
        await asyncio.sleep(0)
        await pass_time(recorder_module.CLOSE_SECONDS)
        await closing

        assert recording.cursors == [""] * 30

    run_recording(scenario)


@pytest.mark.parametrize("mood", ["away", "silent"])
def test_closing_ends_in_time(mood: str, caplog: pytest.LogCaptureFixture) -> None:
    """All that waits is passed on first; what stays unmarked is told."""

    async def scenario(recording: Recording) -> None:
        recording.history.mood = mood
        if mood == "silent":
            recording.history.hold()
        for _ in range(3):
            recording.record()
        closing = asyncio.ensure_future(recording.recorder.close())
        await asyncio.sleep(0)
        if mood == "silent":
            await pass_time(recorder_module.CLOSE_SECONDS)
        await closing

        assert recording.cursors == [""] * 3
        assert recording.history.closed == 1

    run_recording(scenario)
    assert "gaps in the history of 1 events are not marked" in caplog.messages


EVENTS = ("a", "b", "c", "ab")
"""The first name's, and once that is passed on, one of the second."""
MOODS = ("works", "away", "breaks", "lost")
STEPS = st.lists(
    st.sampled_from([*EVENTS, *MOODS, "hold", "free", "wait", "late", "retry"]), max_size=40
)


async def happens(recording: Recording, step: str) -> None:
    history = recording.history
    if step in MOODS:
        history.mood = step
    elif step == "hold":
        history.hold()
    elif step == "free":
        history.let_go()
    elif step == "wait":
        await asyncio.sleep(0.002)
    elif step == "late":
        await recording.late()
    elif step == "retry":
        await recording.retry()
    else:
        recording.record(*step)


async def recover(recording: Recording) -> None:
    """Record an event of each name, once the store works."""
    recording.history.mood = "works"
    recording.history.let_go()
    for name in "abc":
        recording.record(name)
        await recording.settle()
        while not recording.cursors[-1]:
            await recording.retry()
            await asyncio.sleep(0.001)
            recording.record(name)
            await recording.settle()


@settings(max_examples=100, deadline=None)
@given(STEPS, st.sampled_from([1, 2, 3]))
def test_every_event_is_passed_on_once_and_every_gap_marked(
    steps: list[str], names_max: int
) -> None:
    """Whatever the store does: in order, and what has a cursor is there. For what has none there
    is a mark, written later than that and earlier than the next event of the name."""

    async def scenario(recording: Recording) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recorder_module, "WAITING_EVENTS_MAX", 8)
            patch.setattr(gap_names, "NAMES_MAX", names_max)
            for step in steps:
                await happens(recording, step)
            await recover(recording)
        await recording.recorder.close()

        passed_on, entries = recording.passed_on, recording.history.entries
        assert sorted(int(each.payload) for each in passed_on) == list(range(recording.count))
        for index, (name, payload, cursor, place) in enumerate(passed_on):
            if cursor:
                assert entries[int(cursor)] == (name, payload)
            else:
                following = [each for each in passed_on[index:] if each.name == name]
                end = next(int(each.cursor) for each in following if each.cursor)
                assert (name, None) in entries[place:end]

    logging.disable(logging.CRITICAL)
    try:
        run_recording(scenario)
    finally:
        logging.disable(logging.NOTSET)
