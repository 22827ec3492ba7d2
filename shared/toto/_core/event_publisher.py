"""Events from programs outside a cluster: a gateway confirms each before ``send`` returns."""

import itertools
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from toto._core.curve_keys import CurveKeys
from toto._core.endpoints import parse_endpoint
from toto._core.event_encoding import checked_name, encoded_arguments
from toto._core.formats.registry import FormatRegistry
from toto._core.publisher_dialling import NobodyAnswers, dial_first
from toto._core.publisher_link import LinkState, PublisherLink, wait_for_news
from toto._wire.messages import Announce

__all__ = ["CurveKeys", "EventPublisher", "PublishError", "publish"]

TIMEOUT_SECONDS = 5.0
LAST_WORDS_SECONDS = 0.02
"""The loss of a connection is reported before the last messages are handed over; they come first
(the gateway waits as long for those of its workers)."""


class PublishError(Exception):
    """No gateway has confirmed an event. The text is one sentence for people.

    Args:
        reason: that sentence.
        may_be_delivered: False when it has certainly reached nobody; True when it has left, so that
            sending it again could deliver it twice.
    """

    def __init__(self, reason: str, *, may_be_delivered: bool) -> None:
        super().__init__(reason)
        self.may_be_delivered = may_be_delivered


def publish(
    address: str | Sequence[str],
    name: str,
    args: Any,
    broadcast: bool = True,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    curve: CurveKeys | None = None,
    plaintext: bool = False,
) -> None:
    """Send one event to a cluster; return when a gateway has confirmed it.

    It waits, so a coroutine leaves it to a thread. For many events an ``EventPublisher`` is faster.

    Args:
        address: as an ``EventPublisher`` takes it.
        name: as its ``send`` takes it.
        args: what msgpack can carry, at most 512 KiB of it.
        broadcast: True reaches every worker that has a handler, False one of them in turn.
        timeout_seconds: for all of it.
        curve: encrypts.
        plaintext: allows other hosts without ``curve``.

    Raises:
        PublishError: no gateway has confirmed it.
        TypeError: the name is no text, or msgpack cannot carry the arguments; it tells where.
        ValueError: an address, the name, the arguments or the time cannot be.
    """
    with EventPublisher(
        address, timeout_seconds=timeout_seconds, curve=curve, plaintext=plaintext
    ) as publisher:
        publisher.send(name, args, broadcast)


class EventPublisher:
    """Sends events to a cluster from a program that is none of its workers; one thread may use it.

    It connects when there is something to send, and keeps the connection. No event is sent twice,
    nor any without being confirmed; what is sent under one name arrives in that order.

    Args:
        address: a gateway's ``worker_address``, or several in a sequence or separated by commas.
            The first that answers is used, and the next ones when it is lost.
        timeout_seconds: how long one event may take, with all that is needed for it.
        curve: encrypts.
        plaintext: allows unencrypted traffic to other hosts: only inside a private network.

    Raises:
        TypeError: an address is no text.
        ValueError: an address cannot be, or needs ``curve``; the time is not positive.
    """

    def __init__(
        self,
        address: str | Sequence[str],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        curve: CurveKeys | None = None,
        plaintext: bool = False,
    ) -> None:
        if not 0 < timeout_seconds < float("inf"):
            raise ValueError(f"timeout_seconds must be positive, not {timeout_seconds!r}")
        self._endpoints = _endpoints_of(address, is_any_host_allowed=plaintext or curve is not None)
        self._timeout_seconds = timeout_seconds
        self._curve = curve
        self._format = FormatRegistry(msgpack_enabled=True, bson_enabled=False).msgpack
        self._numbers = itertools.count(1)
        self._link: PublisherLink | None = None
        self._is_closed = False

    def send(self, name: str, args: Any, broadcast: bool = True) -> None:
        """Send an event; return when a gateway has confirmed it.

        Args:
            name: 1 to 128 characters.
            args: what msgpack can carry, at most 512 KiB of it.
            broadcast: True reaches every worker that has a handler, False one of them in turn.

        Raises:
            PublishError: no gateway has confirmed it.
            TypeError: the name is no text, or msgpack cannot carry the arguments; it tells where.
            ValueError: the name is too short or too long, or the arguments are too large.
            RuntimeError: this publisher has been closed.
        """
        if self._is_closed:
            raise RuntimeError("this publisher has been closed")
        name, payload = checked_name(name), encoded_arguments(args, self._format)
        message = Announce(next(self._numbers), name, bool(broadcast))
        give_up_at = time.monotonic() + self._timeout_seconds
        link = self._connected(give_up_at)
        while not link.send(message, payload):
            self._drop_link(link)
            link = self._connected(give_up_at)
        self._await_receipt(link, message.number, give_up_at)

    def close(self) -> None:
        """End the connection; may be called twice."""
        self._is_closed = True
        if self._link is not None:
            self._drop_link(self._link)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _connected(self, give_up_at: float) -> PublisherLink:
        if self._link is not None:
            self._link.look()
            if self._link.state is LinkState.READY:
                return self._link
            self._drop_link(self._link)
        try:
            self._link = dial_first(self._endpoints, self._curve, give_up_at=give_up_at)
        except NobodyAnswers as error:
            seconds = self._timeout_seconds
            raise PublishError(
                f"no gateway could be reached (timeout {seconds:g} s): {error}",
                may_be_delivered=False,
            ) from None
        return self._link

    def _drop_link(self, link: PublisherLink) -> None:
        self._link = None
        link.close()
        # Begin with the address behind it next time.
        turn = self._endpoints.index(link.endpoint) + 1
        self._endpoints = (*self._endpoints[turn:], *self._endpoints[:turn])

    def _await_receipt(self, link: PublisherLink, number: int, give_up_at: float) -> None:
        what_happened = f"has not confirmed the event within {self._timeout_seconds:g} s"
        is_lost = False
        while (now := time.monotonic()) < give_up_at:
            link.look()
            if link.state is LinkState.LOST and not is_lost:
                is_lost = True
                what_happened = "was lost before it had confirmed the event"
                give_up_at = min(give_up_at, now + LAST_WORDS_SECONDS)
            if link.has_receipt(number):
                return
            if link.refusal:
                self._drop_link(link)
                raise PublishError(
                    f"the gateway at {link.endpoint} takes no events from here: {link.refusal}",
                    may_be_delivered=False,
                )
            wait_for_news([link], give_up_at - now)
        # What comes from it now is too late, and it may have got stuck.
        self._drop_link(link)
        raise PublishError(
            f"the gateway at {link.endpoint} {what_happened}, which may have been delivered",
            may_be_delivered=True,
        )


def _endpoints_of(address: str | Sequence[str], *, is_any_host_allowed: bool) -> tuple[str, ...]:
    given = [address] if isinstance(address, str) else list(address)
    for each in given:
        if not isinstance(each, str):
            raise TypeError(f"an address must be text, not {type(each).__name__}")
    stripped = [part.strip() for each in given for part in each.split(",")]
    endpoints = tuple(dict.fromkeys(part for part in stripped if part))
    if not endpoints:
        raise ValueError("there must be an address at least")
    for each in endpoints:
        try:
            endpoint = parse_endpoint(each)
        except ValueError as error:
            raise ValueError(f"the address is {each!r}, but must {error}") from None
        if not endpoint.is_private and not is_any_host_allowed:
            raise ValueError(
                f"the address is {each!r}, which would be reached unencrypted: "
                "give CURVE keys, or allow plaintext inside a private network"
            )
    return endpoints
