"""What a recorder does while the store is away, and which gaps it marks."""

import pytest

from toto_gateway.events import gap_names
from toto_testkit.recording import BEGAN, ENDED, Recording, run_recording

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.parametrize("mood", ["away", "breaks"])
def test_what_cannot_be_recorded_is_passed_on_and_marked(
    mood: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As soon as the store is back, also when no further event comes; told once each way."""

    async def scenario(recording: Recording) -> None:
        recording.history.mood = mood
        recording.record("a")
        await recording.settle()
        for _ in range(3):
            recording.record("b")
            await recording.retry()
        recording.history.mood = "works"
        await recording.retry_until(lambda: ENDED in caplog.messages)
        await recording.until(lambda: len(recording.history.entries) == 2)

        assert recording.cursors == [""] * 4
        assert sorted(recording.history.entries) == [("a", None), ("b", None)]

        recording.record("a")
        await recording.settle()

        assert recording.passed_on[-1].cursor == "2"

    run_recording(scenario)
    reason = {"away": "the store is away", "breaks": "the history failed"}[mood]
    assert caplog.messages == [BEGAN + reason, ENDED]
    assert ("a mistake" in caplog.text) == (mood == "breaks")


def test_what_was_recorded_without_an_answer_is_marked() -> None:
    """The event has no cursor, so that nobody knows it to be there."""

    async def scenario(recording: Recording) -> None:
        recording.history.mood = "lost"
        recording.record("a")
        await recording.settle()
        recording.history.mood = "works"
        await recording.retry_until(lambda: len(recording.history.entries) == 2)

        assert recording.cursors == [""]
        assert recording.history.entries == [("a", b"0"), ("a", None)]

    run_recording(scenario)


def test_no_event_waits_for_a_store_that_is_away() -> None:
    """Not even for an attempt to reach it: what comes meanwhile is marked by the next one."""

    async def scenario(recording: Recording) -> None:
        recording.history.mood = "away"
        recording.record("a")
        await recording.settle()
        recording.history.mood = "works"
        recording.history.hold()
        await recording.retry()
        await recording.until(lambda: recording.history.calls == 2)

        recording.record("a")
        recording.record("b")
        assert recording.cursors == [""] * 3

        recording.history.let_go()
        await recording.until(lambda: len(recording.history.mark_calls) == 2)
        assert recording.history.mark_calls == [["a"], ["a", "b"]]

    run_recording(scenario)


def test_a_store_that_is_away_is_asked_once_per_attempt() -> None:
    """However many events come."""

    async def scenario(recording: Recording) -> None:
        recording.history.mood = "away"
        for _ in range(50):
            recording.record()
            await recording.settle()
        assert recording.history.calls == 1

        await recording.retry()
        await recording.until(lambda: recording.history.calls == 2)
        for _ in range(50):
            recording.record()

        assert recording.cursors == [""] * 100
        assert recording.history.calls == 2

    run_recording(scenario)


def test_a_silent_store_is_waited_for_once(caplog: pytest.LogCaptureFixture) -> None:
    """All that wait are passed on when the time is over, in order, and later ones at once; nothing
    else is asked of the store before it has answered."""

    async def scenario(recording: Recording) -> None:
        recording.history.hold()
        for _ in range(5):
            recording.record()
        await recording.until(lambda: recording.history.calls)
        assert recording.cursors == []
        await recording.late()
        assert recording.cursors == [""] * 5
        recording.record()
        assert recording.cursors == [""] * 6
        for _ in range(3):
            await recording.retry()
        assert recording.history.calls == 1

        recording.history.let_go()
        await recording.retry_until(lambda: ENDED in caplog.messages)
        recording.record()
        await recording.settle()

        assert [each.payload for each in recording.passed_on] == [b"%d" % n for n in range(7)]
        # The first batch was written too late.
        assert recording.history.entries == [("e", b"0"), ("e", None), ("e", b"6")]
        assert recording.passed_on[-1].cursor == "2"

    run_recording(scenario)
    assert caplog.messages == [BEGAN + "the store does not answer in time", ENDED]


async def miss(recording: Recording, *names: str) -> None:
    """Have events of these names missed. The first mark is written, the next one hangs, and behind
    it waits another event of the last name."""
    recording.history.mood = "away"
    for name in names:
        recording.record(name)
    await recording.settle()
    calls = recording.history.calls
    recording.history.mood = "works"
    recording.history.moods[calls + 2] = "silent"
    await recording.retry()
    await recording.until(lambda: recording.history.calls == calls + 2)
    recording.record(names[-1])


def test_a_batch_that_was_given_up_is_not_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless that has begun; its marks may be."""
    monkeypatch.setattr(gap_names, "MARKS_MAX", 1)

    async def scenario(recording: Recording) -> None:
        await miss(recording, "a", "b", "c")
        marking = recording.history.calls + 1
        recording.history.moods[marking] = "silent"
        recording.history.let_go()
        await recording.until(lambda: recording.history.calls == marking)
        await recording.late()
        assert recording.cursors == [""] * 4
        recording.history.let_go()
        await recording.retry_until(lambda: len(recording.history.mark_calls) == 4)

        assert recording.history.mark_calls == [["a"], ["b"], ["c"], ["c"]]
        assert recording.history.batches == []

    run_recording(scenario)


def test_marks_that_are_written_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """When only the events behind them are not."""
    monkeypatch.setattr(gap_names, "MARKS_MAX", 2)

    async def scenario(recording: Recording) -> None:
        await miss(recording, "a", "b", "c", "d", "e")
        recording.history.moods[recording.history.calls + 2] = "away"
        recording.history.let_go()
        await recording.settle()
        await recording.retry_until(lambda: len(recording.history.mark_calls) == 4)

        assert recording.history.mark_calls == [["a", "b"], ["c", "d"], ["e"], ["e"]]

    run_recording(scenario)
