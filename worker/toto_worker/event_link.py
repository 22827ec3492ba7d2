"""The way from the event manager, in whatever thread, to the desk in the transport thread."""

import threading
from collections.abc import Callable

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
        self._names: tuple[str, ...] = ()
        self._is_telling = False

    def deliver_to(self, receiver: EventReceiver) -> None:
        """Give the events that arrive to ``receiver``, in the transport thread."""
        self._post(lambda: self._desk.deliver_to(receiver))

    def subscribe(self, names: tuple[str, ...]) -> None:
        """Tell the gateways soon. Changes that come before that travel in the same message."""
        with self._lock:
            self._names = names
            if not self._is_telling:
                self._is_telling = True
                # Under the lock: what another thread publishes next must come behind it.
                self._post(self._tell)

    def publish(self, name: str, payload: bytes, is_broadcast: bool) -> None:
        """Pass an event on, behind all subscriptions made so far."""
        self._post(lambda: self._desk.publish(name, payload, is_broadcast))

    def _tell(self) -> None:
        with self._lock:
            self._is_telling = False
            names = self._names
        self._desk.subscribe(names)
