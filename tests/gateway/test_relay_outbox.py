"""The queue to Redis, and the log of what is lost."""

import logging

import pytest

from toto_gateway.events.relay_losses import Loss, LossLog
from toto_gateway.events.relay_outbox import Outbox, Publication


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def numbered(number: int, size: int = 4) -> Publication:
    return Publication("c", b"%0*d" % (size, number))


def drained(outbox: Outbox) -> list[Publication]:
    everything = []
    while batch := outbox.take():
        everything += batch
    return everything


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    return [record.getMessage() for record in caplog.records]


def test_order_and_batches() -> None:
    """They come out as they went in, 64 at once, or 256 KiB."""
    losses = LossLog(Clock())
    outbox = Outbox(Clock(), losses)
    small = [numbered(number) for number in range(100)]
    large = [numbered(number, 100_000) for number in range(4)]
    for publication in [*small, *large]:
        outbox.put(publication)

    batches = [outbox.take() for _ in range(4)]

    assert [len(batch) for batch in batches] == [64, 38, 2, 0]
    assert [publication for batch in batches for publication in batch] == [*small, *large]
    assert not outbox
    assert not losses.counts


def test_one_longer_than_a_batch_is_sent_alone() -> None:
    """The longest event is longer than a batch should be."""
    outbox = Outbox(Clock(), LossLog(Clock()))
    outbox.put(numbered(1, 600_000))
    outbox.put(numbered(2))

    assert [len(outbox.take()) for _ in range(3)] == [1, 1, 0]


@pytest.mark.parametrize(("size", "kept"), [(4, 10_000), (500_000, 33)])
def test_the_newest_are_dropped(size: int, kept: int) -> None:
    """When there are 10 000, or 16 MiB; what was taken makes room again."""
    losses = LossLog(Clock())
    outbox = Outbox(Clock(), losses)
    for number in range(kept + 7):
        outbox.put(numbered(number, size))

    assert losses.counts == {Loss.QUEUE_FULL: 7}
    assert drained(outbox) == [numbered(number, size) for number in range(kept)]
    outbox.put(numbered(1, size))
    assert drained(outbox) == [numbered(1, size)]


def test_what_is_old_is_dropped() -> None:
    """After two seconds, whether something is taken or put."""
    clock = Clock()
    losses = LossLog(clock)
    outbox = Outbox(clock, losses)
    outbox.put(numbered(1))
    clock.now += 1.5
    outbox.put(numbered(2))
    clock.now += 0.6

    outbox.put(numbered(3))
    assert losses.counts == {Loss.TOO_OLD: 1}
    assert outbox.take() == [numbered(2), numbered(3)]
    outbox.put(numbered(4))
    clock.now += 2.1

    assert outbox.take() == []
    assert losses.counts == {Loss.TOO_OLD: 2}


def test_a_full_queue_of_old_ones_has_room() -> None:
    """An outage does not keep the queue full of what nobody wants any more."""
    clock = Clock()
    outbox = Outbox(clock, LossLog(clock))
    for number in range(10_000):
        outbox.put(numbered(number))
    clock.now += 3

    outbox.put(numbered(1))

    assert drained(outbox) == [numbered(1)]


def test_losses_are_told_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    """The first one at once, further ones in a line every ten seconds, each kind by itself."""
    clock = Clock()
    losses = LossLog(clock)

    for _ in range(3):
        losses.add(Loss.QUEUE_FULL)
    losses.add(Loss.NOT_TAKEN, example="name")
    clock.now += 9.9
    losses.add(Loss.QUEUE_FULL)
    clock.now += 0.2
    losses.add(Loss.QUEUE_FULL, 10)

    assert lines(caplog) == [
        f"1 {Loss.QUEUE_FULL.value}",
        f"1 {Loss.NOT_TAKEN.value} (the last one: 'name')",
        f"13 {Loss.QUEUE_FULL.value}",
    ]
    assert losses.counts == {Loss.QUEUE_FULL: 14, Loss.NOT_TAKEN: 1}


def test_losses_are_held_back_during_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    """They are told when it is over, once."""
    losses = LossLog(Clock())

    losses.hold()
    losses.add(Loss.TOO_OLD, 5)
    losses.add(Loss.TOO_OLD, 6)
    held = lines(caplog)
    losses.release()
    losses.release()
    losses.tell_rest()

    assert held == []
    assert lines(caplog) == [f"11 {Loss.TOO_OLD.value}"]
