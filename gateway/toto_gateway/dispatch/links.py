"""The connections to worker processes: who is there, what they say, and when they are gone."""

import asyncio
import logging
import secrets
from typing import Protocol

import zmq

from toto._wire.codec import ProtocolError, decode, encode
from toto._wire.constants import BAD_FRAMES_MAX, STREAM_WINDOW_BYTES
from toto._wire.messages import (
    Announce,
    Bye,
    Drain,
    Hello,
    Message,
    Ping,
    Receipt,
    Refuse,
    Welcome,
)
from toto_gateway.dispatch.endpoint_lock import EndpointLock
from toto_gateway.dispatch.link import Link
from toto_gateway.dispatch.liveness import Death, PeerAddress, ProcessWatch
from toto_gateway.dispatch.router import RouterSocket

__all__ = ["LinkListener", "Links", "WorkerLinks"]

_log = logging.getLogger("toto.dispatch")

BAD_PEERS_MAX = 1024
"""Peers whose bad frames are counted at a time; the oldest are forgotten first."""


class LinkListener(Protocol):
    """What the owner of the links does with their news."""

    def on_link(self, link: Link) -> None:
        """A worker introduced itself."""

    def on_message(self, link: Link, message: Message, payload: bytes) -> None:
        """A worker sent a message of a call, of its slots, or a BYE that it drains.

        Raises:
            ProtocolError: when the message is not allowed now.
        """

    def on_announce(self, message: Announce, payload: bytes) -> None:
        """A program outside the cluster sent an event.

        Raises:
            ProtocolError: when it is not allowed.
        """

    def on_stale(self, message: Message) -> None:
        """A message came over a connection that is gone; it must reach nobody."""

    def on_lost(self, link: Link, death: Death, *, is_expected: bool) -> None:
        """The worker or the connection is gone."""


class Links(Protocol):
    """Connections to workers, however they are made."""

    @property
    def bad_frames(self) -> int:
        """Frames that were no allowed message, since the start."""

    def open(self) -> None:
        """Begin to take workers."""

    def send(self, link: Link, message: Message, payload: bytes = b"") -> bool:
        """Send to a worker; False when it cannot be reached any more."""

    def check(self, link: Link) -> None:
        """Find out whether the worker is still there, and report it lost if it is not."""

    def close(self) -> None:
        """Drop all workers."""


class WorkerLinks:
    """Owns the ROUTER socket and the process watches; speaks the handshake.

    Args:
        endpoint: where to bind.
        addresses: endpoints of all sibling gateway processes, for WELCOME.
        stores: fingerprint of this gateway's session stores; empty = not compared.
        has_history: broadcast events are recorded.
        listener: gets the news.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        addresses: tuple[str, ...],
        stores: bytes = b"",
        has_history: bool = False,
        listener: LinkListener,
    ) -> None:
        self.bad_frames = 0
        self._stores = stores
        self._has_history = has_history
        self._addresses = addresses
        self._listener = listener
        self._links: dict[bytes, Link] = {}
        self._bad_peers: dict[bytes, int] = {}
        self._processes = ProcessWatch(asyncio.get_running_loop())
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._lock = EndpointLock(endpoint)
        self._router = RouterSocket(
            self._context,
            endpoint,
            knows=self._links.__contains__,
            on_message=self._on_message,
            on_disconnect=self._probe,
        )

    def open(self) -> None:
        """Bind.

        Raises:
            zmq.ZMQError: when the endpoint cannot be bound.
        """
        self._lock.acquire()
        self._router.open()

    def send(self, link: Link, message: Message, payload: bytes = b"") -> bool:
        """Send to a worker; False when it cannot be reached any more."""
        return self._router.send(link.peer, encode(message, link.epoch), payload)

    def check(self, link: Link) -> None:
        """Find out whether the worker is still there, and report it lost if it is not."""
        if self._links.get(link.peer) is link and not self.send(link, Ping()):
            self._lose(link, Death())

    def close(self) -> None:
        """Drop all workers and close the socket; may be called twice."""
        for link in list(self._links.values()):
            self._lose(link, Death(), is_expected=True)
        self._processes.close()
        self._router.close()
        self._context.term()
        self._lock.release()

    def _on_message(self, peer: bytes, header: bytes, payload: bytes, address: str | None) -> None:
        try:
            epoch, message = decode(header)
            link = self._links.get(peer)
            if isinstance(message, Hello):
                self._on_hello(peer, message, address)
            elif isinstance(message, Announce):
                self._on_announce(peer, message, payload, address)
            elif link is None or link.epoch != epoch:
                self._listener.on_stale(message)
            elif isinstance(message, Bye):
                self._on_bye(link, message, payload)
            else:
                self._listener.on_message(link, message, payload)
        except ProtocolError as error:
            self._on_bad_frame(peer, error)

    def _on_announce(
        self, peer: bytes, message: Announce, payload: bytes, address: str | None
    ) -> None:
        if self._bad_peers.get(peer, 0) >= BAD_FRAMES_MAX:
            return
        origin = PeerAddress.parse(address or "")
        if not origin.may_serve:
            # Otherwise everybody on this host could wake what waits for events.
            self._router.send(peer, encode(Refuse("this user may not send events"), 0))
            return
        self._listener.on_announce(message, payload)
        self._router.send(peer, encode(Receipt(message.number), 0))

    def _on_hello(self, peer: bytes, hello: Hello, address: str | None) -> None:
        if self._bad_peers.get(peer, 0) >= BAD_FRAMES_MAX:
            return
        known = self._links.get(peer)
        origin = PeerAddress.parse(address or "")
        if known is not None:
            # The same incarnation dialled again: what the old connection carried is gone.
            self._lose(known, Death())
            origin = PeerAddress(uid=None, pid=known.pid)
        if not origin.may_serve:
            _log.error("a process of user %s is not accepted as a worker", origin.uid)
            self._router.send(peer, encode(Refuse("this user may not serve calls"), 0))
            return
        link = self._links[peer] = Link(peer, secrets.randbits(53), hello, origin.pid)
        if link.pid is not None:
            self._processes.watch(peer, link.pid, self._on_process_death)
        self.send(link, Welcome(self._addresses, STREAM_WINDOW_BYTES, self._has_history))
        _log.info(
            "worker %d on %s serves %d methods with %d threads",
            hello.pid,
            hello.host,
            len(hello.methods),
            hello.threads,
        )
        if self._stores and hello.stores and hello.stores != self._stores:
            _log.warning(
                "worker %d on %s has other options for sessions than this gateway: "
                "those made there may not be known here, "
                "and signatures may be checked differently",
                hello.pid,
                hello.host,
            )
        self._listener.on_link(link)

    def _on_bye(self, link: Link, message: Bye, payload: bytes) -> None:
        if message.gone:
            self._lose(link, Death(), is_expected=True)
            return
        self._listener.on_message(link, message, payload)
        self.send(link, Drain())

    def _on_bad_frame(self, peer: bytes, error: ProtocolError) -> None:
        self.bad_frames += 1
        count = self._bad_peers.pop(peer, 0) + 1
        if len(self._bad_peers) >= BAD_PEERS_MAX:
            del self._bad_peers[next(iter(self._bad_peers))]
        self._bad_peers[peer] = count
        if count in (1, BAD_FRAMES_MAX):
            _log.warning("bad frame from peer %s (%d so far): %s", peer.hex(), count, error)
        link = self._links.get(peer)
        if link is not None and count >= BAD_FRAMES_MAX:
            _log.error("worker %d sends garbage and is ignored from now on", link.hello.pid)
            self.send(link, Refuse("too many bad frames"))
            self._lose(link, Death())

    def _on_process_death(self, peer: bytes, death: Death) -> None:
        # What the worker had sent before it died is already in the kernel's buffers: take it first.
        self._router.drain_now()
        link = self._links.get(peer)
        if link is not None:
            self._lose(link, death)

    def _probe(self) -> None:
        for link in list(self._links.values()):
            self.check(link)

    def _lose(self, link: Link, death: Death, *, is_expected: bool = False) -> None:
        del self._links[link.peer]
        self._processes.forget(link.peer)
        self._listener.on_lost(link, death, is_expected=is_expected)
