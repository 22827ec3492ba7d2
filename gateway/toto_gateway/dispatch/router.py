"""The ROUTER socket on the event loop: frames in, frames out, and the news that a peer went away.

libzmq's file descriptor is edge-triggered: after any send or receive there may be messages for
which it will not fire again. So a drain is scheduled after every send, and a drain that stops early
schedules the next. ``zmq.asyncio`` and ``ZMQStream`` take one message a turn, which is why neither
is used (see pyzmq's ``ZMQStream._handle_events``).
"""

import asyncio
import time
from collections.abc import Callable

import zmq
from zmq.utils.monitor import parse_monitor_message

from toto._wire.constants import FRAME_BYTES_MAX

__all__ = ["RouterSocket"]

# Plain integers: the operators of pyzmq's enumerations cost a microsecond each.
_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
_RCVMORE, _NOBLOCK = int(zmq.RCVMORE), int(zmq.NOBLOCK)

DRAIN_MESSAGES_MAX = 256
DRAIN_SECONDS_MAX = 0.002
LOST_PEER_GRACE_SECONDS = 0.02
"""The monitor reports a disconnect before the last messages are handed over; they come first."""

DRAIN_NOW_SECONDS_MAX = 0.1
LOST_PEER_SECONDS_MAX = 1.0

OnMessage = Callable[[bytes, bytes, bytes, str | None], None]


class RouterSocket:
    """One bound ROUTER socket.

    Args:
        context: made by this process (a context must not cross a fork).
        endpoint: ``ipc://path`` or ``tcp://host:port``.
        knows: tells whether a routing id has been introduced; messages of others come with the
            kernel's or the transport's word about where they are from.
        on_message: gets routing id, header, payload (empty if none) and that address.
        on_disconnect: called a moment after some peer's connection ended; whose, is unknown.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        *,
        knows: Callable[[bytes], bool],
        on_message: OnMessage,
        on_disconnect: Callable[[], None],
    ) -> None:
        self._endpoint = endpoint
        self._knows = knows
        self._on_message = on_message
        self._on_disconnect = on_disconnect
        self._loop = asyncio.get_running_loop()
        self._drain_scheduled = False
        self._is_open = False
        self._socket = context.socket(zmq.ROUTER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.SNDHWM, 0),
            (zmq.RCVHWM, 0),
            (zmq.IPV6, int("[" in endpoint)),  # names stay IPv4: libzmq takes one address only
            (zmq.ROUTER_MANDATORY, 1),
            (zmq.ROUTER_HANDOVER, 1),
            (zmq.HEARTBEAT_IVL, 250),
            (zmq.HEARTBEAT_TIMEOUT, 750),
            (zmq.HEARTBEAT_TTL, 1000),
            (zmq.HANDSHAKE_IVL, 2000),
            (zmq.MAXMSGSIZE, FRAME_BYTES_MAX),
        ):
            self._socket.setsockopt(option, value)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)

    def open(self) -> None:
        """Bind and begin to read.

        Raises:
            zmq.ZMQError: when the endpoint cannot be bound.
        """
        self._socket.bind(self._endpoint)
        self._loop.add_reader(self._socket.FD, self._drain)
        self._loop.add_reader(self._monitor.FD, self._read_monitor)
        self._is_open = True
        # Both descriptors stay silent until EVENTS has been read once.
        self._schedule_drain()
        self._loop.call_soon(self._read_monitor)

    @property
    def endpoint(self) -> str:
        """The bound endpoint, with the real port where 0 was asked for."""
        bound: bytes | str | int = self._socket.getsockopt(zmq.LAST_ENDPOINT)
        return bound.decode().rstrip("\0") if isinstance(bound, bytes) else str(bound)

    def send(self, peer: bytes, header: bytes, payload: bytes = b"") -> bool:
        """Send to a peer; False when it is not reachable any more."""
        try:
            if payload:
                self._socket.send_multipart((peer, header, payload), _NOBLOCK, copy=True)
            else:
                self._socket.send_multipart((peer, header), _NOBLOCK, copy=True)
        except zmq.ZMQError as error:
            # EHOSTUNREACH: gone. EAGAIN cannot be with SNDHWM 0 unless the peer is going.
            if error.errno in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                return False
            raise
        self._schedule_drain()
        return True

    def drain_now(self) -> None:
        """Handle all messages that have arrived, or as many as a tenth of a second allows."""
        stop_at = time.monotonic() + DRAIN_NOW_SECONDS_MAX
        while self._is_open and _has_message(self._socket) and time.monotonic() < stop_at:
            self._receive()

    def close(self) -> None:
        """Stop reading and close; may be called twice."""
        if self._socket.closed:
            return
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._socket.FD)
            self._loop.remove_reader(self._monitor.FD)
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(0)

    def _schedule_drain(self) -> None:
        if not self._drain_scheduled:
            self._drain_scheduled = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._drain_scheduled = False
        stop_at = time.monotonic() + DRAIN_SECONDS_MAX
        for _ in range(DRAIN_MESSAGES_MAX):
            if not self._is_open or not _has_message(self._socket):
                return
            self._receive()
            if time.monotonic() > stop_at:
                break
        self._schedule_drain()

    def _receive(self) -> None:
        receive, more = self._socket.recv, self._socket.getsockopt
        peer = receive(_NOBLOCK)
        if not more(_RCVMORE):
            return
        address = None
        if self._knows(peer):
            header = receive(_NOBLOCK)
        else:
            frame = receive(_NOBLOCK, copy=False)
            header, address = frame.bytes, _address_of(frame)
        payload = b""
        while more(_RCVMORE):
            payload = receive(_NOBLOCK)
        self._on_message(peer, header, payload, address)

    def _read_monitor(self) -> None:
        seen = False
        while self._is_open and _has_message(self._monitor):
            parse_monitor_message(self._monitor.recv_multipart(_NOBLOCK))
            seen = True
        if seen:
            stop_at = time.monotonic() + LOST_PEER_SECONDS_MAX
            self._loop.call_later(LOST_PEER_GRACE_SECONDS, self._report_disconnect, stop_at)

    def _report_disconnect(self, stop_at: float) -> None:
        """Tell of it when all that came before has been handled. libzmq takes from its peers in
        turn, so one that floods us keeps no other's last words back; and it may go on flooding."""
        if not self._is_open:
            return
        if _has_message(self._socket) and time.monotonic() < stop_at:
            self._drain()
            self._loop.call_soon(self._report_disconnect, stop_at)
        else:
            self._on_disconnect()


def _has_message(endpoint: zmq.Socket[bytes]) -> bool:
    return bool(int(endpoint.getsockopt(_EVENTS)) & _POLLIN)


def _address_of(frame: zmq.Frame) -> str:
    try:
        return str(frame.get("Peer-Address"))
    except zmq.ZMQError:
        return ""
