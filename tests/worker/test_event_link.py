"""Events on their way from any thread to the transport thread."""

from collections.abc import Callable
from typing import Any, cast

from toto._wire.codec import decode
from toto._wire.messages import Publish, Subscribe
from toto_testkit.dispatch_model import ChannelLink
from toto_worker.event_desk import EventDesk
from toto_worker.event_link import EventLink


def test_changes_of_one_turn_travel_in_one_message() -> None:
    """And ahead of what was published after the first of them."""
    inbox: list[Callable[[], None]] = []
    desk, gateway = EventDesk(), ChannelLink("ipc:///g", 1)
    desk.link_up(cast(Any, gateway))
    link = EventLink(desk, inbox.append)

    link.subscribe({"a": True})
    link.publish("e", b"1", True)
    link.subscribe({"b": True})
    link.publish("e", b"2", False)
    for action in inbox:
        action()

    assert [decode(header)[1] for header, _ in gateway.outgoing] == [
        Subscribe((), is_first=True, is_home=True),
        Subscribe(("a", "b"), is_home=True),
        Publish("e", True),
        Publish("e", False),
    ]


def test_the_next_turn_has_a_message_of_its_own() -> None:
    """A change that comes when the last one has been told is told too."""
    inbox: list[Callable[[], None]] = []
    desk, gateway = EventDesk(), ChannelLink("ipc:///g", 1)
    desk.link_up(cast(Any, gateway))
    link = EventLink(desk, inbox.append)

    for changes in ({"a": True}, {"b": True, "a": False}):
        link.subscribe(changes)
        while inbox:
            inbox.pop()()

    assert [decode(header)[1] for header, _ in gateway.outgoing] == [
        Subscribe((), is_first=True, is_home=True),
        Subscribe(("a",), is_home=True),
        Subscribe(("b",), ("a",), is_home=True),
    ]
