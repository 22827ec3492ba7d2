"""Which workers get an event: who has subscribed to what, and whose turn it is. No I/O."""

import logging
from collections.abc import Sequence

from toto._core.event_port import EVENT_NAMES_MAX
from toto_gateway.dispatch.link import Link

__all__ = ["EventRoutes"]

_log = logging.getLogger("toto.dispatch")


class EventRoutes:
    """The subscriptions of the workers that this gateway process is connected to.

    Connections are kept by their epoch: hashing a link would hash all methods of its worker.
    """

    def __init__(self) -> None:
        self._names: dict[int, frozenset[str]] = {}
        self._draining: set[int] = set()
        self._subscribers: dict[str, dict[int, Link]] = {}
        """In the order of their turns."""

    def subscribe(self, link: Link, names: Sequence[str]) -> None:
        """Take in what a worker has handlers for; names beyond the limit are left out.

        A name that it has said before keeps its place in the round.
        """
        if len(names) > EVENT_NAMES_MAX:
            _log.error(
                "worker %d on %s subscribes to %d events; all beyond %d are left out",
                link.hello.pid,
                link.hello.host,
                len(names),
                EVENT_NAMES_MAX,
            )
        wanted = frozenset(names[:EVENT_NAMES_MAX])
        known = self._names.get(link.epoch, frozenset())
        for name in known - wanted:
            self._unsubscribe(link, name)
        for name in wanted - known:
            self._subscribers.setdefault(name, {})[link.epoch] = link
        self._names[link.epoch] = wanted

    def subscribers(self, name: str) -> list[Link]:
        """Return all workers that have a handler for a broadcast event."""
        return list(self._subscribers.get(name, {}).values())

    def next_subscriber(self, name: str) -> Link | None:
        """Return the worker whose turn it is; None when no worker that stays has a handler."""
        turns = self._subscribers.get(name, {})
        for epoch, link in turns.items():
            if epoch not in self._draining:
                turns[epoch] = turns.pop(epoch)
                return link
        return None

    def drain(self, link: Link) -> None:
        """Pass a worker that is about to stop over, except by broadcasts."""
        self._draining.add(link.epoch)

    def forget(self, link: Link) -> None:
        """Forget a worker that is gone."""
        for name in self._names.pop(link.epoch, frozenset()):
            self._unsubscribe(link, name)
        self._draining.discard(link.epoch)

    def _unsubscribe(self, link: Link, name: str) -> None:
        turns = self._subscribers[name]
        del turns[link.epoch]
        if not turns:
            del self._subscribers[name]
