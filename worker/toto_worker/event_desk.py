"""The events of a worker between the sockets and its handlers. Runs in the transport thread."""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from toto._core.event_port import ArrivedEvent, EventReceiver
from toto._wire.constants import EVENT_NAMES_AT_ONCE, EVENT_NAMES_MAX
from toto._wire.messages import Event, Missed, Publish, Subscribe

if TYPE_CHECKING:
    from toto_worker.ports import LinkPort

__all__ = ["EventDesk"]

_log = logging.getLogger("toto.events")

ORIGINS_MAX = 256
"""Gateway processes whose last event is remembered; the longest silent are forgotten first."""


class EventDesk:
    """Tells the gateways what this worker waits for, and passes events to and fro.

    Every worker is connected to all gateway processes of a host, so an event that is given to one
    of them reaches all workers. It is always the same one while it lives, so that events stay in
    order. The rounds of events for one worker are each gateway's own, so workers choose the same
    gateway where they can.

    That gateway is also this worker's home: the one that passes on what other hosts relay. A worker
    that is connected to gateways of several hosts gets an event from its origin and from home; each
    way keeps the order, so whatever is not newer than the last one of its origin has been here.
    """

    def __init__(self) -> None:
        self._gateways: dict[str, LinkPort] = {}
        self._home: LinkPort | None = None
        self._names: dict[str, None] = {}
        self._is_full = False
        self._receiver: EventReceiver = _nobody
        self._on_missed: Callable[[], None] = _nothing
        self._newest: dict[bytes, int] = {}
        self._with_history: set[str] = set()

    @property
    def has_history(self) -> bool:
        """True when the gateways record broadcast events. Any thread may ask."""
        return bool(self._with_history)

    def deliver_to(self, receiver: EventReceiver, on_missed: Callable[[], None]) -> None:
        """Give events to ``receiver`` from now on, and tell when some may have been lost."""
        self._receiver = receiver
        self._on_missed = on_missed

    def link_up(self, link: "LinkPort", *, has_history: bool = False) -> None:
        """A gateway has accepted this worker: tell it what was told to the others."""
        self._gateways[link.endpoint] = link
        if has_history:
            self._with_history.add(link.endpoint)
        else:
            self._with_history.discard(link.endpoint)
        if self._home is None:
            self._home = link
        is_home = link is self._home
        for message in _in_parts(list(self._names), [], is_first=True, is_home=is_home):
            link.send(message)
        self._on_missed()

    def link_down(self, link: "LinkPort") -> None:
        """A gateway is gone."""
        if self._gateways.pop(link.endpoint, None) is None:
            return
        if self._home is link:
            self._home = None
            self._choose_home()
        self._on_missed()

    def subscribe(self, changes: Mapping[str, bool]) -> None:
        """Tell all gateways what this worker has begun (True) or ceased to wait for."""
        begun, gone = [], []
        for name, is_waited_for in changes.items():
            if not is_waited_for and name in self._names:
                del self._names[name]
                gone.append(name)
            elif is_waited_for and name not in self._names and self._has_room():
                self._names[name] = None
                begun.append(name)
        if not begun and not gone:
            return
        for link in self._gateways.values():
            for message in _in_parts(begun, gone, is_first=False, is_home=link is self._home):
                link.send(message)

    def publish(self, name: str, payload: bytes, is_broadcast: bool) -> None:
        """Give an event to a gateway; without one it is dropped."""
        message = Publish(name, is_broadcast)
        if self._home is not None and self._home.send(message, payload):
            return
        for link in self._in_order():
            if link is not self._home and link.send(message, payload):
                self._move_to(link)
                return
        _log.warning("no gateway is connected: an event %r is dropped", name)

    def on_message(self, link: "LinkPort", message: Event | Missed, payload: bytes) -> None:
        """Take in an event, or the news that some may have been lost.

        One that was meant for a single worker and finds no handler any more, for it crossed the
        news on the wire, goes back to its gateway for another worker. That comes to an end: the
        gateway has first been told that nobody waits here, so it gives this worker no event of the
        name again until a new handler is registered.
        """
        if isinstance(message, Missed):
            self._on_missed()
            return
        if message.number and not self._is_new(message.origin, message.number):
            return
        arrived = ArrivedEvent(message.name, payload, message.cursor)
        if self._receiver(arrived) or message.is_broadcast:
            return
        # Names that came or went just now follow in their own turn.
        self.subscribe({message.name: False})
        link.send(Publish(message.name, is_broadcast=False), payload)

    # -- inside

    def _in_order(self) -> "list[LinkPort]":
        return [self._gateways[endpoint] for endpoint in sorted(self._gateways)]

    def _choose_home(self) -> None:
        for link in self._in_order():
            self._move_to(link)
            return

    def _move_to(self, link: "LinkPort") -> None:
        # They know the names; told anew in parts, those of later parts would be away for a moment.
        before, self._home = self._home, link
        link.send(Subscribe((), is_home=True))
        if before is not None and before.endpoint in self._gateways:
            before.send(Subscribe(()))

    def _has_room(self) -> bool:
        was_full, self._is_full = self._is_full, len(self._names) >= EVENT_NAMES_MAX
        if self._is_full and not was_full:
            _log.error("handlers for more than %d events are never called", EVENT_NAMES_MAX)
        return not self._is_full

    def _is_new(self, origin: bytes, number: int) -> bool:
        newest = self._newest.pop(origin, 0)
        self._newest[origin] = max(newest, number)
        if len(self._newest) > ORIGINS_MAX:
            del self._newest[next(iter(self._newest))]
        return number > newest


def _in_parts(
    begun: list[str], gone: list[str], *, is_first: bool, is_home: bool
) -> Iterator[Subscribe]:
    """Yield messages that fit into frames."""
    yield Subscribe(
        tuple(begun[:EVENT_NAMES_AT_ONCE]), tuple(gone[:EVENT_NAMES_AT_ONCE]), is_first, is_home
    )
    for start in range(EVENT_NAMES_AT_ONCE, max(len(begun), len(gone)), EVENT_NAMES_AT_ONCE):
        end = start + EVENT_NAMES_AT_ONCE
        yield Subscribe(tuple(begun[start:end]), tuple(gone[start:end]), is_home=is_home)


def _nobody(event: ArrivedEvent) -> bool:
    return False


def _nothing() -> None:
    pass
