"""Events in a worker's transport thread: what the gateways are told, and what they are given."""

import logging
from typing import cast

import pytest

from toto._wire.codec import decode
from toto._wire.constants import FRAME_BYTES_MAX
from toto._wire.messages import Event, Message, Publish, Subscribe
from toto_testkit.dispatch_model import ChannelLink
from toto_worker.event_desk import EventDesk
from toto_worker.ports import LinkPort


class Desk:
    """A desk with so many gateways; ``waits`` says which events have a handler."""

    def __init__(self, gateways: int = 1) -> None:
        self.waits: set[str] = set()
        self.received: list[tuple[str, bytes]] = []
        self.desk = EventDesk()
        self.desk.deliver_to(self._receive)
        self.links = [ChannelLink(f"ipc:///g-{number}", 1) for number in range(gateways)]
        for number in range(gateways):
            self.connect(number)

    def _receive(self, name: str, payload: bytes) -> bool:
        self.received.append((name, payload))
        return name in self.waits

    def link(self, number: int) -> LinkPort:
        return cast("LinkPort", self.links[number])

    def connect(self, number: int) -> None:
        self.desk.link_up(self.link(number))

    def disconnect(self, number: int) -> None:
        self.desk.link_down(self.link(number))

    def sent(self, number: int = 0) -> list[Message]:
        messages = [decode(header)[1] for header, _ in self.links[number].outgoing]
        self.links[number].outgoing.clear()
        return messages


def test_every_gateway_is_told_what_is_waited_for() -> None:
    """What has not changed is not told again, and a gateway that comes is told at once."""
    desk = Desk(gateways=2)
    assert desk.sent(0) == []

    desk.desk.subscribe(("a", "b"))
    desk.desk.subscribe(("a", "b"))
    desk.disconnect(1)
    desk.desk.subscribe(("b",))
    desk.connect(1)

    assert desk.sent(0) == [Subscribe(("a", "b")), Subscribe(("b",))]
    assert desk.sent(1) == [Subscribe(("a", "b")), Subscribe(("b",))]


def test_all_events_go_to_one_gateway_while_it_lives() -> None:
    """One that comes back does not take them over, so that they stay in order."""
    desk = Desk(gateways=3)
    publishers = []

    for change in (None, "lose 0", "return 0", "lose 1"):
        if change is not None:
            verb, number = change.split()
            (desk.disconnect if verb == "lose" else desk.connect)(int(number))
        desk.desk.publish("e", b"1", is_broadcast=True)
        publishers.append([n for n in range(3) if desk.sent(n) == [Publish("e", True)]])

    assert publishers == [[0], [1], [1], [0]]


def test_an_event_without_a_gateway_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """With a warning; it is not sent later."""
    caplog.set_level(logging.WARNING)
    desk = Desk()
    desk.disconnect(0)

    desk.desk.publish("e", b"1", is_broadcast=True)
    desk.connect(0)

    assert desk.sent() == []
    assert caplog.messages == ["no gateway is connected: an event 'e' is dropped"]


def test_an_event_is_given_to_the_receiver() -> None:
    """With its payload; nothing goes back."""
    desk = Desk()
    desk.waits = {"e"}

    desk.desk.on_event(desk.link(0), Event("e", False), b"payload")

    assert desk.received == [("e", b"payload")]
    assert desk.sent() == []


def test_an_event_for_one_that_finds_nobody_goes_back() -> None:
    """To its own gateway, which is told first that nobody waits: so it asks another worker."""
    desk = Desk(gateways=2)
    desk.desk.subscribe(("a", "e"))
    desk.sent(0)
    desk.sent(1)

    desk.desk.on_event(desk.link(1), Event("e", False), b"payload")
    desk.desk.subscribe(("a",))

    assert [payload for _, payload in desk.links[1].outgoing] == [b"", b"payload"]
    assert desk.sent(1) == [Subscribe(("a",)), Publish("e", False)]
    assert desk.sent(0) == [Subscribe(("a",))]


def test_a_broadcast_that_finds_nobody_is_dropped() -> None:
    """All others have it already."""
    desk = Desk()

    desk.desk.on_event(desk.link(0), Event("e", True), b"payload")

    assert desk.sent() == []


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        pytest.param([f"e{n}" for n in range(10_001)], 10_000, id="count"),
        pytest.param([f"{n:0>4}" + "\U0001f600" * 124 for n in range(5000)], 2084, id="bytes"),
    ],
)
def test_more_names_than_a_message_holds_are_cut(
    names: list[str], kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The latest are left out, with one line in the log; the message stays within a frame."""
    caplog.set_level(logging.ERROR)
    desk = Desk()

    desk.desk.subscribe(tuple(names))
    desk.desk.subscribe((*names, "one more"))

    assert [len(header) <= FRAME_BYTES_MAX for header, _ in desk.links[0].outgoing] == [True]
    assert desk.sent() == [Subscribe(tuple(names[:kept]))]
    assert caplog.messages == [
        f"handlers for {len(names)} events are too many: the latest of them are never called"
    ]
