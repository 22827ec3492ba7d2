"""What the event manager leans on; the worker provides it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

__all__ = ["ArrivedEvent", "EventPort", "EventReceiver"]


class ArrivedEvent(NamedTuple):
    """An event on its way to the handlers of this process."""

    name: str
    payload: bytes
    """Its encoded arguments."""
    cursor: str = ""
    """Its place in the history; empty = it is not recorded."""


EventReceiver = Callable[[ArrivedEvent], bool]
"""Takes an event; False = nobody here waits for it."""


class EventPort(Protocol):
    """The way of events to and from the other workers. Any thread may call it; nothing waits."""

    def deliver_to(self, receiver: EventReceiver, on_missed: Callable[[], None]) -> None:
        """Give the events that arrive to ``receiver``, in the transport thread.

        ``on_missed`` is called there when some may have been lost on their way: the connection to
        a gateway has been lost or made.
        """

    def subscribe(self, changes: Mapping[str, bool]) -> None:
        """Tell what this worker has begun (True) and ceased (False) to wait for."""

    def publish(self, name: str, payload: bytes, is_broadcast: bool) -> None:
        """Pass an event on, behind all subscriptions made so far."""

    @property
    def has_history(self) -> bool:
        """True when the gateways record broadcast events."""
