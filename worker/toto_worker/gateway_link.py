"""One DEALER socket to one gateway process. Used by the transport thread alone."""

import time

import zmq
from zmq.utils.monitor import parse_monitor_message

from toto._wire.codec import encode
from toto._wire.constants import FRAME_BYTES_MAX
from toto._wire.messages import Message
from toto_worker.call import WorkerCall
from toto_worker.ports import LIVE_STATES, LinkState

__all__ = ["GatewayLink", "has_message"]

# Plain integers: the operators of pyzmq's enumerations cost a microsecond each.
_EVENTS, _POLLIN, _NOBLOCK = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.NOBLOCK)

DRAIN_LINGER_MILLISECONDS = 1000
CONNECT_TIMEOUT_MILLISECONDS = 2000
"""An address that swallows packets is tried anew after this time; the kernel would take minutes."""


def has_message(endpoint: zmq.Socket[bytes]) -> bool:
    """Return whether a receive would not wait."""
    return bool(int(endpoint.getsockopt(_EVENTS)) & _POLLIN)


class GatewayLink:
    """The connection to one gateway process, across reconnects.

    It has a ZeroMQ context, and so an I/O thread, of its own: libzmq looks names up in that thread,
    and a name server that does not answer would starve the heartbeats of all other gateways.

    Args:
        endpoint: where to dial.
        incarnation: this worker's routing id, drawn anew at each start.
    """

    def __init__(self, endpoint: str, incarnation: bytes) -> None:
        self.endpoint = endpoint
        self.state = LinkState.AWAY
        self.epoch = 0
        self.window_bytes = 0
        self.greeted_at = 0.0
        self.calls: dict[int, WorkerCall] = {}
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.ROUTING_ID, incarnation),
            (zmq.LINGER, 0),
            (zmq.SNDHWM, 0),
            (zmq.RCVHWM, 0),
            (zmq.IPV6, int("[" in endpoint)),  # names stay IPv4: libzmq takes one address only
            (zmq.IMMEDIATE, 1),
            (zmq.HEARTBEAT_IVL, 250),
            (zmq.HEARTBEAT_TIMEOUT, 750),
            (zmq.HEARTBEAT_TTL, 1000),
            (zmq.HANDSHAKE_IVL, 2000),
            (zmq.CONNECT_TIMEOUT, CONNECT_TIMEOUT_MILLISECONDS),
            (zmq.RECONNECT_IVL, 50),
            (zmq.RECONNECT_IVL_MAX, 1000),
            (zmq.MAXMSGSIZE, FRAME_BYTES_MAX),
        ):
            self.socket.setsockopt(option, value)
        self.monitor = self.socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        )

    def dial(self) -> None:
        """Start to connect; the monitor tells when it has worked."""
        self.socket.connect(self.endpoint)

    def send(self, message: Message, payload: bytes = b"") -> bool:
        """Send a message; False when the gateway is away, which the monitor will report too."""
        frames = (
            (encode(message, self.epoch), payload) if payload else (encode(message, self.epoch),)
        )
        try:
            self.socket.send_multipart(frames, _NOBLOCK)
        except zmq.Again:
            return False
        return True

    def greet(self, hello: Message) -> None:
        """Send HELLO and remember when."""
        self.epoch = 0
        self.greeted_at = time.monotonic()
        self.send(hello)

    @property
    def is_live(self) -> bool:
        """True while messages about calls may be exchanged."""
        return self.state in LIVE_STATES

    def connection_events(self) -> list[int]:
        """Return what the monitor has seen: HANDSHAKE_SUCCEEDED and DISCONNECTED, in order."""
        seen = []
        while has_message(self.monitor):
            event = parse_monitor_message(self.monitor.recv_multipart(zmq.NOBLOCK))
            seen.append(int(event["event"]))
        return seen

    def close(self, *, linger_milliseconds: int = 0) -> None:
        """Close both sockets; may be called twice."""
        if not self.socket.closed:
            self.socket.disable_monitor()
            self.monitor.close(0)
            self.socket.close(linger_milliseconds)
            self._context.term()
