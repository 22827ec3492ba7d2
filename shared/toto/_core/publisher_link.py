"""One DEALER socket from a program outside the cluster to one gateway process."""

import ipaddress
import math
import os
import threading
from collections.abc import Iterable
from enum import Enum, auto

import zmq
from zmq.utils.monitor import parse_monitor_message

from toto._core.curve_keys import CurveKeys
from toto._core.endpoints import parse_endpoint
from toto._wire.codec import ProtocolError, decode, encode
from toto._wire.messages import Announce, Receipt, Refuse

__all__ = ["LinkState", "PublisherLink", "wait_for_news"]

# Plain integers: the operators of pyzmq's enumerations are slow.
_EVENTS, _POLLIN, _NOBLOCK = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.NOBLOCK)
_NEWS = (
    zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_DISCONNECTED
)

CONNECT_TIMEOUT_MILLISECONDS = 2000
"""As in workers: an address that swallows packets is tried anew after this time."""
ANSWER_BYTES_MAX = 4096
ANSWERS_WAITING_MAX = 16
"""A receipt has 13 bytes at most, and one at a time is waited for."""
LOOK_UP_GRACE_SECONDS = 0.2
WAIT_SECONDS_MAX = 60.0


class LinkState(Enum):
    """How far a connection has come."""

    DIALLING = auto()
    READY = auto()
    LOST = auto()
    """It was in use. What was under way may have arrived or not."""
    REFUSED = auto()
    """It will not become ready."""


class PublisherLink:
    """The connection to one gateway process, until it is lost after its first use.

    It has a ZeroMQ context, and so an I/O thread, of its own: libzmq looks names up in that thread,
    and one name server that does not answer would hold up the other connections.

    Args:
        endpoint: where to dial.
        curve: encrypts; None = plain.
    """

    def __init__(self, endpoint: str, curve: CurveKeys | None) -> None:
        self.endpoint = endpoint
        self.state = LinkState.DIALLING
        self.trouble = ""
        """Why it is not ready, for people; empty while nothing is known."""
        self.refusal = ""
        """Why the gateway takes no events from here, in its words; empty while it does."""
        self._has_sent = False
        self._curve = curve
        self._place = parse_endpoint(endpoint)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.LINGER, 0),
            # Not IMMEDIATE: with it receipts that have come are lost with the connection.
            (zmq.HEARTBEAT_IVL, 250),
            (zmq.HEARTBEAT_TIMEOUT, 750),
            (zmq.HEARTBEAT_TTL, 1000),
            (zmq.HANDSHAKE_IVL, 2000),
            (zmq.CONNECT_TIMEOUT, CONNECT_TIMEOUT_MILLISECONDS),
            (zmq.RECONNECT_IVL, 50),
            (zmq.RECONNECT_IVL_MAX, 1000),
            (zmq.RCVHWM, ANSWERS_WAITING_MAX),
            (zmq.MAXMSGSIZE, ANSWER_BYTES_MAX),
            (zmq.IPV6, int(":" in self._place.host)),
        ):
            self._socket.setsockopt(option, value)
        if curve is not None:
            self._socket.setsockopt(zmq.CURVE_SERVERKEY, curve.server_key.encode())
            self._socket.setsockopt(zmq.CURVE_PUBLICKEY, curve.public_key.encode())
            self._socket.setsockopt(zmq.CURVE_SECRETKEY, curve.secret_key.encode())
        self._monitor = self._socket.get_monitor_socket(_NEWS)

    def dial(self) -> None:
        """Start to connect; ``look`` finds out when it has worked."""
        try:
            self._socket.connect(self.endpoint)
        except (zmq.ZMQError, UnicodeEncodeError):
            self.state, self.trouble = LinkState.REFUSED, "this address cannot be dialled"

    def look(self) -> None:
        """Take in what has happened to the connection."""
        while _has_message(self._monitor):
            event = parse_monitor_message(self._monitor.recv_multipart(_NOBLOCK))
            if self.state is LinkState.READY:
                # libzmq dials again by itself, which is welcome as long as nothing was under way.
                self.state = LinkState.LOST if self._has_sent else LinkState.DIALLING
            elif self.state is LinkState.DIALLING:
                self._on_dialling(int(event["event"]))

    def send(self, message: Announce, payload: bytes) -> bool:
        """Send an event; False when it has certainly not left."""
        self.look()
        if self.state is not LinkState.READY:
            return False
        self._has_sent = True
        self._socket.send_multipart((encode(message, 0), payload), _NOBLOCK)
        return True

    def has_receipt(self, number: int) -> bool:
        """Return whether the receipt of an event has come; others, and garbage, are dropped."""
        for _ in range(ANSWERS_WAITING_MAX):  # one that never stops talking must not hold us up
            if not _has_message(self._socket):
                break
            header = self._socket.recv_multipart(_NOBLOCK)[0]
            try:
                _, message = decode(header)
            except ProtocolError:
                continue
            if isinstance(message, Receipt) and message.number == number:
                return True
            if isinstance(message, Refuse):
                self.refusal = " ".join(message.reason.split()) or "it does not say why"
        return False

    def watch(self, poller: zmq.Poller) -> None:
        """Have the poller wake when something has come."""
        poller.register(self._monitor, _POLLIN)
        poller.register(self._socket, _POLLIN)

    def close(self) -> None:
        """End the connection at once; may be called twice."""
        if self._socket.closed:
            return
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(0)
        if _is_name(self._place.host):
            # The I/O thread ends when the look-up does, which no option of ZeroMQ can cut short.
            ending = threading.Thread(target=self._context.term, daemon=True)
            ending.start()
            ending.join(LOOK_UP_GRACE_SECONDS)
        else:
            self._context.term()

    def _on_dialling(self, event: int) -> None:
        match event:
            case zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.state = LinkState.READY
            case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self.state, self.trouble = LinkState.REFUSED, "it refuses this program"
            case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                how = "without" if self._curve is None else "with"
                self.state = LinkState.REFUSED
                self.trouble = f"it takes no connections {how} CURVE keys"
            case zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                question = "" if self._curve is None else "; is its key the right one?"
                self.trouble = f"it breaks the handshake off{question}"
            case zmq.EVENT_CONNECT_RETRIED:
                self.trouble = self.trouble or _reason_for_silence(self._place.path)


def wait_for_news(links: Iterable[PublisherLink], timeout_seconds: float) -> None:
    """Wait until one of the connections has something to tell, at most that long."""
    poller = zmq.Poller()
    for link in links:
        link.watch(poller)
    poller.poll(math.ceil(max(0.0, min(timeout_seconds, WAIT_SECONDS_MAX)) * 1000))


def _has_message(endpoint: zmq.Socket[bytes]) -> bool:
    return bool(int(endpoint.getsockopt(_EVENTS)) & _POLLIN)


def _reason_for_silence(path: str) -> str:
    if path and not path.startswith("@"):
        if not os.path.exists(path):
            return "there is no such socket"
        if not os.access(path, os.W_OK):
            return "this user may not connect to it"
    return "nobody answers there"


def _is_name(host: str) -> bool:
    if not host:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False
