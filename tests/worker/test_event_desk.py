"""Events in a worker's transport thread: what the gateways are told, and what they are given."""

import logging
from typing import cast

import pytest

from toto._core.event_port import ArrivedEvent
from toto._wire.codec import decode
from toto._wire.constants import FRAME_BYTES_MAX
from toto._wire.messages import Event, Message, Missed, Publish, Subscribe
from toto_testkit.dispatch_model import ChannelLink
from toto_worker.event_desk import EventDesk
from toto_worker.ports import LinkPort


class Desk:
    """A desk with so many gateways; ``waits`` says which events have a handler."""

    def __init__(self, gateways: int = 1) -> None:
        self.waits: set[str] = set()
        self.received: list[ArrivedEvent] = []
        self.missed = 0
        self.desk = EventDesk()
        self.desk.deliver_to(self._receive, self._miss)
        self.links = [ChannelLink(f"ipc:///g-{number}", 1) for number in range(gateways)]
        for number in range(gateways):
            self.connect(number)

    def _receive(self, event: ArrivedEvent) -> bool:
        self.received.append(event)
        return event.name in self.waits

    def _miss(self) -> None:
        self.missed += 1

    def link(self, number: int) -> LinkPort:
        return cast("LinkPort", self.links[number])

    def connect(self, number: int, *, has_history: bool = False) -> None:
        self.desk.link_up(self.link(number), has_history=has_history)

    def disconnect(self, number: int) -> None:
        self.desk.link_down(self.link(number))

    def sent(self, number: int = 0) -> list[Message]:
        messages = [decode(header)[1] for header, _ in self.links[number].outgoing]
        self.links[number].outgoing.clear()
        return messages


def test_every_gateway_is_told_what_is_waited_for() -> None:
    """What has not changed is not told again, and a gateway that comes is told all at once."""
    desk = Desk(gateways=2)
    first = (desk.sent(0), desk.sent(1))

    desk.desk.subscribe({"a": True, "b": True})
    desk.desk.subscribe({"a": True, "c": False})
    desk.disconnect(1)
    desk.desk.subscribe({"a": False})
    desk.connect(1)

    assert first == ([Subscribe((), (), True, True)], [Subscribe((), (), True, False)])
    assert desk.sent(0) == [
        Subscribe(("a", "b"), is_home=True),
        Subscribe((), ("a",), is_home=True),
    ]
    assert desk.sent(1) == [Subscribe(("a", "b")), Subscribe(("b",), is_first=True)]


def test_the_worker_is_at_home_with_one_gateway_at_a_time() -> None:
    """When that one is lost the next one is told; one that comes back is told that it is not."""
    desk = Desk(gateways=2)
    desk.desk.subscribe({"a": True})
    desk.sent(0)
    desk.sent(1)

    desk.disconnect(0)
    desk.connect(0)

    assert desk.sent(1) == [Subscribe((), is_home=True)]
    assert desk.sent(0) == [Subscribe(("a",), is_first=True)]


def test_an_event_that_came_on_two_ways_is_given_once() -> None:
    """By the number that its origin gave it; those of several origins do not mix."""
    desk = Desk(gateways=2)
    desk.waits = {"e"}

    for link, origin, number in ((0, b"x", 1), (1, b"x", 1), (1, b"x", 2), (0, b"x", 2)):
        desk.desk.on_message(desk.link(link), Event("e", True, origin, number), b"%d" % number)
    desk.desk.on_message(desk.link(0), Event("e", True, b"y", 1), b"other")

    assert [event.payload for event in desk.received] == [b"1", b"2", b"other"]


def test_many_origins_are_remembered_but_not_all() -> None:
    """Gateway processes come and go; the longest silent is forgotten."""
    desk = Desk()
    for number in range(300):
        desk.desk.on_message(desk.link(0), Event("e", True, b"%d" % number, 1), b"")

    desk.desk.on_message(desk.link(0), Event("e", True, b"299", 1), b"")
    desk.desk.on_message(desk.link(0), Event("e", True, b"0", 1), b"")

    assert len(desk.received) == 301


def test_that_events_may_be_missing_is_told_when_a_gateway_comes_or_goes() -> None:
    """Each time once."""
    desk = Desk(gateways=2)

    counts = [desk.missed]
    for step in (desk.disconnect, desk.connect):
        step(1)
        counts.append(desk.missed)
    desk.disconnect(0)

    assert [*counts, desk.missed] == [2, 3, 4, 5]


def test_a_worker_knows_whether_events_are_recorded() -> None:
    """By the word of its gateways."""
    desk = Desk()

    before = desk.desk.has_history
    desk.connect(0, has_history=True)

    assert (before, desk.desk.has_history) == (False, True)


def test_all_events_go_to_one_gateway_while_it_lives() -> None:
    """One that comes back does not take them over, so that they stay in order."""
    desk = Desk(gateways=3)
    publishers = []

    for change in (None, "lose 0", "return 0", "lose 1"):
        if change is not None:
            verb, number = change.split()
            (desk.disconnect if verb == "lose" else desk.connect)(int(number))
        desk.desk.publish("e", b"1", is_broadcast=True)
        publishers.append([n for n in range(3) if Publish("e", True) in desk.sent(n)])

    assert publishers == [[0], [1], [1], [0]]


def test_an_event_without_a_gateway_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """With a warning; it is not sent later."""
    caplog.set_level(logging.WARNING)
    desk = Desk()
    desk.disconnect(0)

    desk.desk.publish("e", b"1", is_broadcast=True)
    desk.connect(0)

    assert desk.sent() == [Subscribe((), is_first=True, is_home=True)] * 2
    assert caplog.messages == ["no gateway is connected: an event 'e' is dropped"]


def test_an_event_is_given_to_the_receiver() -> None:
    """With its payload; nothing goes back."""
    desk = Desk()
    desk.waits = {"e"}
    desk.sent()

    desk.desk.on_message(desk.link(0), Event("e", False), b"payload")
    desk.desk.on_message(desk.link(0), Event("e", True, b"x", 1, "7-0"), b"recorded")

    assert desk.received == [
        ArrivedEvent("e", b"payload"),
        ArrivedEvent("e", b"recorded", "7-0"),
    ]
    assert desk.sent() == []


def test_an_event_for_one_that_finds_nobody_goes_back() -> None:
    """To its own gateway, which is told first that nobody waits: so it asks another worker."""
    desk = Desk(gateways=2)
    desk.desk.subscribe({"a": True, "e": True})
    desk.sent(0)
    desk.sent(1)

    desk.desk.on_message(desk.link(1), Event("e", False), b"payload")
    desk.desk.subscribe({"e": False})

    assert [payload for _, payload in desk.links[1].outgoing] == [b"", b"payload"]
    assert desk.sent(1) == [Subscribe((), ("e",)), Publish("e", False)]
    assert desk.sent(0) == [Subscribe((), ("e",), is_home=True)]


def test_a_broadcast_that_finds_nobody_is_dropped() -> None:
    """All others have it already."""
    desk = Desk()
    desk.sent()

    desk.desk.on_message(desk.link(0), Event("e", True), b"payload")

    assert desk.sent() == []


def test_many_names_travel_in_several_messages() -> None:
    """Each within a frame, and together all of them."""
    desk = Desk()
    names = [f"{n:0>4}" + "\U0001f600" * 124 for n in range(2500)]
    desk.sent()

    desk.desk.subscribe(dict.fromkeys(names, True))
    sizes = [len(header) for header, _ in desk.links[0].outgoing]
    told = desk.sent()
    desk.connect(0)
    again = desk.sent()

    assert max(sizes) <= FRAME_BYTES_MAX
    for messages in (told, again):
        subscriptions = [each for each in messages if isinstance(each, Subscribe)]
        assert [name for each in subscriptions for name in each.names] == names
        assert len(subscriptions) == 3
    assert [each.is_first for each in again if isinstance(each, Subscribe)] == [True, False, False]


def test_names_beyond_the_limit_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """With one line in the log; when others have gone there is room again."""
    caplog.set_level(logging.ERROR)
    desk = Desk()
    desk.desk.subscribe({f"e{n}": True for n in range(100_000)})
    desk.sent()

    desk.desk.subscribe({"one": True, "more": True})
    desk.desk.subscribe({"e0": False})
    desk.desk.subscribe({"later": True})

    assert desk.sent() == [
        Subscribe((), ("e0",), is_home=True),
        Subscribe(("later",), is_home=True),
    ]
    assert caplog.messages == ["handlers for more than 100000 events are never called"]


def test_that_events_were_lost_elsewhere_is_told() -> None:
    """By the gateway that relays them."""
    desk = Desk()
    before = desk.missed

    desk.desk.on_message(desk.link(0), Missed(), b"")

    assert (before, desk.missed) == (1, 2)
    assert desk.received == []
