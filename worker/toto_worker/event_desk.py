"""The events of a worker between the sockets and its handlers. Runs in the transport thread."""

import logging
from typing import TYPE_CHECKING

from toto._core.event_port import EVENT_NAMES_MAX, EventReceiver
from toto._wire.constants import EVENT_NAME_LENGTH_MAX, FRAME_BYTES_MAX
from toto._wire.messages import Event, Publish, Subscribe

if TYPE_CHECKING:
    from toto_worker.ports import LinkPort

__all__ = ["EventDesk"]

_log = logging.getLogger("toto.events")

UTF_8_BYTES_MAX = 4
NAME_HEADER_BYTES = 3
"""Beside the bytes of a name of at most 512 bytes, in msgpack."""
NAMES_BYTES_MAX = FRAME_BYTES_MAX - 64
"""What is left of a frame for the names of SUBSCRIBE."""
NAMES_ALWAYS_FIT = NAMES_BYTES_MAX // (UTF_8_BYTES_MAX * EVENT_NAME_LENGTH_MAX + NAME_HEADER_BYTES)


class EventDesk:
    """Tells the gateways what this worker waits for, and passes events to and fro.

    Every worker is connected to all gateway processes of a host, so an event that is given to one
    of them reaches all workers. It is always the same one while it lives, so that events stay in
    order. The rounds of events for one worker are each gateway's own, so workers choose the same
    gateway where they can.
    """

    def __init__(self) -> None:
        self._gateways: dict[str, LinkPort] = {}
        self._publisher: LinkPort | None = None
        self._names: tuple[str, ...] = ()
        self._is_cut = False
        self._receiver: EventReceiver = _nobody

    def deliver_to(self, receiver: EventReceiver) -> None:
        """Give events to ``receiver`` from now on."""
        self._receiver = receiver

    def link_up(self, link: "LinkPort") -> None:
        """A gateway has accepted this worker: tell it what was told to the others."""
        self._gateways[link.endpoint] = link
        if self._names:
            link.send(Subscribe(self._names))

    def link_down(self, link: "LinkPort") -> None:
        """A gateway is gone."""
        self._gateways.pop(link.endpoint, None)
        if self._publisher is link:
            self._publisher = None

    def subscribe(self, names: tuple[str, ...]) -> None:
        """Tell all gateways what this worker has handlers for, if they do not know."""
        names = self._fitting(names)
        if names == self._names:
            return
        self._names = names
        for link in self._gateways.values():
            link.send(Subscribe(names))

    def publish(self, name: str, payload: bytes, is_broadcast: bool) -> None:
        """Give an event to a gateway; without one it is dropped."""
        message = Publish(name, is_broadcast)
        if self._publisher is not None and self._publisher.send(message, payload):
            return
        for endpoint in sorted(self._gateways):
            link = self._gateways[endpoint]
            if link is not self._publisher and link.send(message, payload):
                self._publisher = link
                return
        _log.warning("no gateway is connected: an event %r is dropped", name)

    def on_event(self, link: "LinkPort", message: Event, payload: bytes) -> None:
        """Take in an event.

        One that was meant for a single worker and finds no handler any more, for it crossed the
        news on the wire, goes back to its gateway for another worker. That comes to an end: the
        gateway has first been told that nobody waits here, so it gives this worker no event of the
        name again until a new handler is registered.
        """
        if self._receiver(message.name, payload) or message.is_broadcast:
            return
        # Names that came or went just now follow in their own turn.
        self.subscribe(tuple(name for name in self._names if name != message.name))
        link.send(Publish(message.name, is_broadcast=False), payload)

    def _fitting(self, names: tuple[str, ...]) -> tuple[str, ...]:
        fitting = names[: _fitting_count(names)]
        was_cut, self._is_cut = self._is_cut, len(fitting) < len(names)
        if self._is_cut and not was_cut:
            _log.error(
                "handlers for %d events are too many: the latest of them are never called",
                len(names),
            )
        return fitting


def _fitting_count(names: tuple[str, ...]) -> int:
    if len(names) <= NAMES_ALWAYS_FIT:
        return len(names)
    size = 0
    for count, name in enumerate(names[:EVENT_NAMES_MAX]):
        size += len(name.encode()) + NAME_HEADER_BYTES
        if size > NAMES_BYTES_MAX:
            return count
    return min(len(names), EVENT_NAMES_MAX)


def _nobody(name: str, payload: bytes) -> bool:
    return False
