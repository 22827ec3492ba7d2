"""Events of other gateway processes, passed on to the workers that are at home here."""

from toto._wire.messages import Event, Hello, Message, Missed, Publish, Subscribe
from toto_gateway.dispatch.event_bus import EventBus
from toto_gateway.dispatch.link import Link
from toto_gateway.events.relay_messages import RelayedEvent

HOME = Link(b"home", 1, Hello(b"w", 1, "host", (), 1, 1))
GUEST = Link(b"guest", 2, Hello(b"w", 2, "host", (), 1, 1))


class Bus:
    """A bus with one worker at home and one that is at home elsewhere; both wait for ``e``."""

    def __init__(self) -> None:
        self.sent: list[tuple[Link, Message, bytes]] = []
        self.relayed: list[RelayedEvent] = []
        self.offered: list[tuple[str, bytes]] = []
        self.is_reached = True
        self.bus = EventBus(
            self._send, lambda link: None, origin=b"here", make_relay=lambda _: self
        )
        self.bus.on_message(HOME, Subscribe(("e",), is_first=True, is_home=True), b"")
        self.bus.on_message(GUEST, Subscribe(("e",), is_first=True), b"")

    def _send(self, link: Link, message: Message, payload: bytes) -> bool:
        self.sent.append((link, message, payload))
        return self.is_reached

    def start(self) -> None:
        """Nothing to connect to."""

    def broadcast(self, event: RelayedEvent) -> None:
        self.relayed.append(event)

    def offer(self, name: str, payload: bytes) -> None:
        self.offered.append((name, payload))

    async def close(self) -> None:
        """Nothing was opened."""


def relayed(number: int, origin: bytes = b"there") -> RelayedEvent:
    return RelayedEvent(origin, number, "e", b"%d" % number, f"{number}-0")


def test_a_broadcast_goes_to_all_workers_and_to_the_relay() -> None:
    """With the number by which a worker knows it again."""
    bus = Bus()

    bus.bus.on_message(HOME, Publish("e", True), b"1")
    bus.bus.on_message(GUEST, Publish("e", True), b"2")

    events = [Event("e", True, b"here", 1), Event("e", True, b"here", 2)]
    assert bus.sent == [
        *[(link, events[0], b"1") for link in (HOME, GUEST)],
        *[(link, events[1], b"2") for link in (HOME, GUEST)],
    ]
    assert [(event.number, event.payload) for event in bus.relayed] == [(1, b"1"), (2, b"2")]


def test_a_relayed_event_goes_to_those_at_home() -> None:
    """As its origin has numbered it; it is not relayed again."""
    bus = Bus()

    bus.bus.on_relayed(relayed(1))

    assert bus.sent == [(HOME, Event("e", True, b"there", 1, "1-0"), b"1")]
    assert bus.relayed == []


def test_what_the_relay_lost_is_told_to_those_at_home() -> None:
    """Before the event behind it; each origin counts for itself, and an old number is no loss."""
    bus = Bus()

    for number, origin in ((1, b"x"), (2, b"x"), (1, b"y"), (5, b"x"), (4, b"x"), (6, b"x")):
        bus.bus.on_relayed(relayed(number, origin))

    kinds = [type(message) for _, message, _ in bus.sent]
    assert kinds == [Event, Event, Event, Missed, Event, Event, Event]


def test_an_origin_that_is_first_heard_in_the_middle_has_been_missed() -> None:
    """Nobody knows what it sent before."""
    bus = Bus()

    bus.bus.on_relayed(relayed(7))

    assert bus.sent[0][1] == Missed()


def test_an_event_for_one_that_nobody_takes_is_offered_to_others() -> None:
    """And only then."""
    bus = Bus()

    bus.bus.on_message(HOME, Publish("e", False), b"1")
    taken = list(bus.offered)
    bus.is_reached = False
    bus.bus.on_message(HOME, Publish("e", False), b"2")
    bus.bus.on_message(HOME, Publish("other", False), b"3")

    assert taken == []
    assert bus.offered == [("e", b"2"), ("other", b"3")]
