"""The worker's desk: connections that begin anew, and calls whose gateway has gone."""

from typing import Any, cast

from toto._core.timing import MethodTimes
from toto._wire.codec import decode, encode
from toto._wire.messages import (
    Call,
    Cancel,
    Message,
    Part,
    Ready,
    RequestInfo,
    Result,
    Slots,
    Welcome,
)
from toto_testkit.dispatch_model import ChannelLink
from toto_testkit.manual_loop import ManualLoop
from toto_worker.call import WorkerCall
from toto_worker.calls import CallDesk
from toto_worker.ports import LinkPort, LinkState
from toto_worker.slots import SlotTable

INFO = RequestInfo("r", "POST", "/", (), "127.0.0.1", "", "json", None)


class Desk:
    """A call desk with one connection and one thread slot."""

    def __init__(self) -> None:
        loop = ManualLoop()
        times = MethodTimes()
        slots: SlotTable[LinkPort] = SlotTable(
            threads=1, loop_slots=1, is_fast=lambda method: times.of(method).is_fast
        )
        self.started: list[WorkerCall] = []
        self.desk = CallDesk(
            slots, times, loop=cast(Any, loop), on_start=self.started.append, clock=loop.time
        )
        self.link = ChannelLink("ipc:///g", 0)
        self.link.state = LinkState.GREETING

    def receive(self, message: Message, epoch: int, *payload: bytes) -> None:
        self.desk.on_frames(cast(Any, self.link), [encode(message, epoch), *payload])

    def sent(self) -> list[tuple[int, Message]]:
        messages = [decode(header) for header, _ in self.link.outgoing]
        self.link.outgoing.clear()
        return messages


def call(number: int, size: int = 1) -> Call:
    return Call(number, 1, "m", 0, 30_000, 0, size, INFO)


def test_the_last_welcome_counts() -> None:
    """A HELLO that was repeated makes the gateway begin anew; the worker must follow it."""
    desk = Desk()
    desk.receive(Welcome((), 1000), 11)
    desk.receive(call(1), 11, b"x")
    desk.sent()

    desk.receive(Welcome((), 1000), 22)

    assert desk.link.epoch == 22
    assert desk.started[0].is_cancelled
    desk.desk.finish(desk.started[0], 0, None, b"stale", 100)
    sent = desk.sent()
    assert {epoch for epoch, _ in sent} == {22}
    assert not any(isinstance(message, Result) for _, message in sent)
    assert sent[-1] == (22, Ready(Slots(1, 1, 0, 0)))


def test_messages_of_another_epoch_are_not_obeyed() -> None:
    """A call that was sent over an older connection does not run."""
    desk = Desk()
    desk.receive(Welcome((), 1000), 11)

    desk.receive(call(1), 10, b"x")

    assert desk.started == []


def test_a_call_runs_when_its_body_is_whole() -> None:
    """It holds its slot from the first frame on."""
    desk = Desk()
    desk.receive(Welcome((), 1000), 11)
    desk.receive(call(1, size=6), 11, b"abc")
    assert desk.started == []

    desk.receive(Part(1, 1), 11, b"def")

    assert [each.body() for each in desk.started] == [b"abcdef"]


def test_a_call_cancelled_before_its_body_is_whole_frees_its_slot() -> None:
    """Nothing ever runs for it, and the next call finds a free slot."""
    desk = Desk()
    desk.receive(Welcome((), 1000), 11)
    desk.receive(call(1, size=6), 11, b"abc")
    desk.sent()

    desk.receive(Cancel(1, 1, True), 11)
    ending = desk.sent()[0][1]
    desk.receive(call(2), 11, b"x")

    assert isinstance(ending, Result)
    assert ending.slots == Slots(1, 1, 1, 0)
    assert [each.message.call for each in desk.started] == [2]


def test_a_body_longer_than_announced_is_dropped() -> None:
    """The message is refused; the desk goes on."""
    desk = Desk()
    desk.receive(Welcome((), 1000), 11)

    desk.receive(call(1, size=2), 11, b"abc")
    desk.desk.on_frames(cast(Any, desk.link), [b"garbage"])
    desk.receive(call(2), 11, b"x")

    assert [each.message.call for each in desk.started] == [2]
