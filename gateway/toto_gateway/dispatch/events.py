"""Which workers get an event: who has subscribed to what, and whose turn it is. No I/O."""

import logging

from toto._wire.constants import EVENT_NAMES_MAX
from toto._wire.messages import Subscribe
from toto_gateway.dispatch.link import Link

__all__ = ["EventRoutes"]

_log = logging.getLogger("toto.dispatch")


class EventRoutes:
    """The subscriptions of the workers that this gateway process is connected to.

    Connections are kept by their epoch: hashing a link would hash all methods of its worker.
    """

    def __init__(self) -> None:
        self._names: dict[int, set[str]] = {}
        self._draining: set[int] = set()
        self._at_home: dict[int, Link] = {}
        self._subscribers: dict[str, dict[int, Link]] = {}
        """In the order of their turns."""

    def subscribe(self, link: Link, message: Subscribe) -> None:
        """Take in what a worker has handlers for; names beyond the limit are left out.

        A name that it has said before keeps its place in the round.
        """
        known = self._names.setdefault(link.epoch, set())
        gone = known - set(message.names) if message.is_first else known.intersection(message.gone)
        for name in gone:
            self._unsubscribe(link, name)
        known -= gone
        for name in message.names:
            if name in known:
                continue
            if len(known) >= EVENT_NAMES_MAX:
                _log.error(
                    "worker %d on %s subscribes to more than %d events; %r is left out",
                    link.hello.pid,
                    link.hello.host,
                    EVENT_NAMES_MAX,
                    name,
                )
                break
            known.add(name)
            self._subscribers.setdefault(name, {})[link.epoch] = link
        if message.is_home:
            self._at_home[link.epoch] = link
        else:
            self._at_home.pop(link.epoch, None)

    def subscribers(self, name: str) -> list[Link]:
        """Return all workers that have a handler for a broadcast event."""
        return list(self._subscribers.get(name, {}).values())

    def at_home(self) -> list[Link]:
        """Return the workers that get the events of other hosts from here."""
        return list(self._at_home.values())

    def subscribers_at_home(self, name: str) -> list[Link]:
        """Return those of them that get the events of other hosts from here."""
        turns = self._subscribers.get(name, {})
        return [link for epoch, link in turns.items() if epoch in self._at_home]

    def has_subscriber(self, name: str) -> bool:
        """Tell whether a worker that stays has a handler."""
        return any(epoch not in self._draining for epoch in self._subscribers.get(name, {}))

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
        for name in self._names.pop(link.epoch, set()):
            self._unsubscribe(link, name)
        self._draining.discard(link.epoch)
        self._at_home.pop(link.epoch, None)

    def _unsubscribe(self, link: Link, name: str) -> None:
        turns = self._subscribers[name]
        del turns[link.epoch]
        if not turns:
            del self._subscribers[name]
