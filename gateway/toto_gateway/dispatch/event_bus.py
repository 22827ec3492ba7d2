"""Passes events from worker to worker."""

from collections.abc import Callable

from toto._wire.codec import ProtocolError
from toto._wire.constants import EVENT_BYTES_MAX
from toto._wire.messages import Event, Message, Publish, Subscribe
from toto_gateway.dispatch.events import EventRoutes
from toto_gateway.dispatch.link import Link

__all__ = ["EventBus"]


class EventBus:
    """Carries out what the routes say.

    Args:
        send: sends to a worker; False when it cannot be reached.
        check: finds out, a little later, whether a worker that could not be reached is gone.
    """

    def __init__(
        self, send: Callable[[Link, Message, bytes], bool], check: Callable[[Link], object]
    ) -> None:
        self._send = send
        self._check = check
        self._routes = EventRoutes()

    def on_message(self, link: Link, message: Subscribe | Publish, payload: bytes) -> None:
        """Take in what a worker says.

        Raises:
            ProtocolError: the event is too long.
        """
        if isinstance(message, Subscribe):
            self._routes.subscribe(link, message.names)
            return
        if len(payload) > EVENT_BYTES_MAX:
            raise ProtocolError("the event is too long")
        event = Event(message.name, message.is_broadcast)
        if message.is_broadcast:
            for subscriber in self._routes.subscribers(message.name):
                self._send(subscriber, event, payload)
            return
        while (receiver := self._routes.next_subscriber(message.name)) is not None:
            if self._send(receiver, event, payload):
                return
            # It cannot be reached and will be reported lost: the event is the next one's.
            self._routes.drain(receiver)
            self._check(receiver)

    def drain(self, link: Link) -> None:
        """A worker is about to stop."""
        self._routes.drain(link)

    def forget(self, link: Link) -> None:
        """A worker is gone."""
        self._routes.forget(link)
