"""Passes events from worker to worker, and to other gateway processes."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from toto._wire.codec import ProtocolError
from toto._wire.constants import EVENT_BYTES_MAX
from toto._wire.messages import Announce, Event, Message, Missed, Publish, Subscribe
from toto_gateway.dispatch.events import EventRoutes
from toto_gateway.dispatch.link import Link
from toto_gateway.events.relay_messages import RelayedEvent

if TYPE_CHECKING:
    from toto_gateway.events.relay import RelayListener

__all__ = ["CheckLink", "EventBus", "Recorder", "Relay", "SendToWorker"]

ORIGINS_MAX = 256
SendToWorker = Callable[[Link, Message, bytes], bool]
"""Sends to a worker; False when it cannot be reached."""
CheckLink = Callable[[Link], object]
"""Finds out, a little later, whether a worker that could not be reached is gone."""


class Relay(Protocol):
    """The way to the other gateway processes of the cluster."""

    def start(self) -> None:
        """Connect."""

    def broadcast(self, event: RelayedEvent) -> None:
        """Give an event to all of them; does not wait."""

    def offer(self, name: str, payload: bytes) -> None:
        """Give an event to one worker of one of them; does not wait."""

    async def close(self) -> None:
        """End all connections."""


class Recorder(Protocol):
    """Where events are kept."""

    def record(self, name: str, payload: bytes, then: Callable[[str], None]) -> None:
        """Keep an event, and call ``then`` with its cursor, in order; empty when that failed."""

    async def close(self) -> None:
        """Write what is left, and end all connections."""


class EventBus:
    """Carries out what the routes say.

    Args:
        send: reaches workers.
        check: looks after those that could not be reached.
        origin: names this gateway process among all.
        make_relay: reaches other gateway processes; None when there is no way to them.
        recorder: keeps broadcast events; None keeps none.
    """

    def __init__(
        self,
        send: SendToWorker,
        check: CheckLink,
        *,
        origin: bytes,
        make_relay: "Callable[[RelayListener], Relay] | None" = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._send = send
        self._check = check
        self._origin = origin
        self._number = 0
        self._relayed: dict[bytes, int] = {}
        """The last number of every other gateway process; the longest silent is forgotten first."""
        self._routes = EventRoutes()
        self._relay = None if make_relay is None else make_relay(self)
        self._recorder = recorder

    @property
    def has_history(self) -> bool:
        """True when broadcast events are kept."""
        return self._recorder is not None

    def start(self) -> None:
        """Connect to the other gateway processes."""
        if self._relay is not None:
            self._relay.start()

    async def close(self) -> None:
        """Record and relay no more; may be called twice."""
        if self._recorder is not None:
            await self._recorder.close()
        if self._relay is not None:
            await self._relay.close()

    # -- from workers and outside programs

    def on_message(self, link: Link, message: Subscribe | Publish, payload: bytes) -> None:
        """Take in what a worker says.

        Raises:
            ProtocolError: the event is too long.
        """
        if isinstance(message, Subscribe):
            self._routes.subscribe(link, message)
        else:
            self.publish(message, payload)

    def publish(self, message: Publish | Announce, payload: bytes) -> None:
        """Pass an event on.

        Raises:
            ProtocolError: it is too long.
        """
        if len(payload) > EVENT_BYTES_MAX:
            raise ProtocolError("the event is too long")
        name = message.name
        if not message.is_broadcast:
            if not self.take_one(name, payload) and self._relay is not None:
                self._relay.offer(name, payload)
        elif self._recorder is not None:
            self._recorder.record(name, payload, partial(self._broadcast, name, payload))
        else:
            self._broadcast(name, payload, "")

    def drain(self, link: Link) -> None:
        """A worker is about to stop."""
        self._routes.drain(link)

    def forget(self, link: Link) -> None:
        """A worker is gone."""
        self._routes.forget(link)

    def _broadcast(self, name: str, payload: bytes, cursor: str) -> None:
        self._number += 1
        event = Event(name, True, self._origin, self._number, cursor)
        for subscriber in self._routes.subscribers(name):
            self._send(subscriber, event, payload)
        if self._relay is not None:
            self._relay.broadcast(RelayedEvent(self._origin, self._number, name, payload, cursor))

    # -- RelayListener

    def on_relayed(self, event: RelayedEvent) -> None:
        """Pass on what another gateway process got.

        It counts its broadcasts, and all of them come this way: what is left out was lost.
        """
        last = self._relayed.pop(event.origin, 0)
        self._relayed[event.origin] = max(last, event.number)
        if len(self._relayed) > ORIGINS_MAX:
            del self._relayed[next(iter(self._relayed))]
        if event.number > last + 1:
            for link in self._routes.at_home():
                self._send(link, Missed(), b"")
        message = Event(event.name, True, event.origin, event.number, event.cursor)
        for subscriber in self._routes.subscribers_at_home(event.name):
            self._send(subscriber, message, event.payload)

    def has_subscriber(self, name: str) -> bool:
        """Tell whether a worker here would take an event for one."""
        return self._routes.has_subscriber(name)

    def take_one(self, name: str, payload: bytes) -> bool:
        """Give an event to the worker whose turn it is; False when there is none."""
        event = Event(name, is_broadcast=False)
        while (receiver := self._routes.next_subscriber(name)) is not None:
            if self._send(receiver, event, payload):
                return True
            # It cannot be reached and will be reported lost: the event is the next one's.
            self._routes.drain(receiver)
            self._check(receiver)
        return False
