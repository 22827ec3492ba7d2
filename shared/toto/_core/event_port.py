"""What the event manager leans on; the worker provides it."""

from collections.abc import Callable
from typing import Protocol

__all__ = ["EVENT_NAMES_MAX", "EventPort", "EventReceiver"]

EVENT_NAMES_MAX = 10_000
"""Names that one worker may have handlers for: each change of them is told in one frame."""

EventReceiver = Callable[[str, bytes], bool]
"""Takes an event's name and its encoded arguments; False = nobody here waits for it."""


class EventPort(Protocol):
    """The way of events to and from the other workers. Any thread may call it; nothing waits."""

    def deliver_to(self, receiver: EventReceiver) -> None:
        """Give the events that arrive to ``receiver``, in the transport thread."""

    def subscribe(self, names: tuple[str, ...]) -> None:
        """Tell what this worker has handlers for, instead of what was told before."""

    def publish(self, name: str, payload: bytes, is_broadcast: bool) -> None:
        """Pass an event on, behind all subscriptions made so far."""
