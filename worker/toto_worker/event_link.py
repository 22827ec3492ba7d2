"""The way from the event manager, in whatever thread, to the desk in the transport thread."""

import threading
from collections.abc import Callable, Mapping

from toto._core.event_port import EventReceiver
from toto_worker.event_desk import EventDesk

__all__ = ["EventLink"]


class EventLink:
    """The ``EventPort`` of a worker.

    Args:
        desk: where events go; used in the transport thread alone.
        post: has a function called in the transport thread, in order.
    """

    def __init__(self, desk: EventDesk, post: Callable[[Callable[[], None]], None]) -> None:
        self._desk = desk
        self._post = post
        self._lock = threading.RLock()  # a finalizer may remove a handler at any moment
        self._changes: dict[str, bool] = {}

    def deliver_to(self, receiver: EventReceiver, on_missed: Callable[[], None]) -> None:
        """Give the events that arrive to ``receiver``, in the transport thread."""
        self._post(lambda: self._desk.deliver_to(receiver, on_missed))

    def subscribe(self, changes: Mapping[str, bool]) -> None:
        """Tell the gateways soon. Changes that come before that travel in the same message."""
        with self._lock:
            is_telling = bool(self._changes)
            self._changes.update(changes)
            if self._changes and not is_telling:
                # Under the lock: what another thread publishes next must come behind it.
                self._post(self._tell)

    def publish(self, name: str, payload: bytes, is_broadcast: bool) -> None:
        """Pass an event on, behind all subscriptions made so far."""
        self._post(lambda: self._desk.publish(name, payload, is_broadcast))

    @property
    def has_history(self) -> bool:
        """True when the gateways record broadcast events."""
        return self._desk.has_history

    def _tell(self) -> None:
        with self._lock:
            changes, self._changes = self._changes, {}
        self._desk.subscribe(changes)
