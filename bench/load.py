"""A load generator: raw non-blocking sockets behind one epoll, HTTP and WebSocket alike.

It runs in a process of its own, and a call costs it about an eighth of what it costs the gateway:
it is not what a run measures.
"""

import base64
import json
import os
import resource
import select
import socket
import statistics
import struct
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = [
    "Connection",
    "HttpConnection",
    "NoWebSocket",
    "Poller",
    "Timings",
    "WebSocketConnection",
    "closed_loop",
    "echo_body",
    "raise_descriptors",
    "steady",
]

HOST = "127.0.0.1"
PATIENCE_SECONDS = 30.0
"""Without an answer for so long a run is over."""
READ_BYTES = 256 * 1024
READY_MAX = 1024
CONTINUATION, TEXT, PING, PONG = 0, 1, 9, 10
"""Kinds of frames (RFC 6455, 5.2)."""


class NoWebSocket(Exception):
    """The gateway does not answer 101 to a WebSocket's handshake."""


class Connection:
    """One connection to the gateway, which gives whole answers.

    Args:
        port: of 127.0.0.1.
        receive_bytes: of the kernel's buffer; 0 leaves it to the kernel.
    """

    def __init__(self, port: int, *, receive_bytes: int = 0) -> None:
        self.socket = socket.socket()
        self.received = bytearray()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(PATIENCE_SECONDS)
        self.socket.connect((HOST, port))

    def send(self, data: bytes) -> None:
        """Send a request; it is small, so the kernel has room for it.

        Raises:
            BlockingIOError: it has not.
        """
        if self.socket.send(data) != len(data):
            raise BlockingIOError("the gateway reads no requests")

    def call(self, body: bytes) -> None:
        """Send a call's JSON."""
        raise NotImplementedError

    def take(self) -> bytes | None:
        """Remove one whole answer from what was received; None when there is none."""
        raise NotImplementedError

    def read(self, size_max: int = READ_BYTES) -> int:
        """Receive what is there, and return how much; 0 when that is nothing.

        Raises:
            ConnectionError: the gateway has closed.
        """
        try:
            data = self.socket.recv(size_max)
        except BlockingIOError:
            return 0
        if not data:
            raise ConnectionResetError(f"the gateway has closed: {bytes(self.received[:200])!r}")
        self.received += data
        return len(data)

    def answers(self) -> Iterable[bytes]:
        """Yield the whole answers that are there."""
        self.read()
        while (answer := self.take()) is not None:
            yield answer

    def reset(self) -> None:
        """Close without a farewell: the gateway gets a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close; may be called twice."""
        self.socket.close()


class HttpConnection(Connection):
    """Calls by POST, one after the other."""

    def __init__(self, port: int, *, receive_bytes: int = 0) -> None:
        super().__init__(port, receive_bytes=receive_bytes)
        self.socket.setblocking(False)

    def call(self, body: bytes) -> None:
        """Send a call's JSON."""
        self.send(
            b"POST / HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )

    def take(self) -> bytes | None:
        """Remove one whole answer from what was received; None when there is none."""
        received = self.received
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(received[:end]).lower()
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(f"an error under load: {head!r}")
        size = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(received) < end + 4 + size:
            return None
        answer = bytes(received[end + 4 : end + 4 + size])
        del received[: end + 4 + size]
        return answer


class WebSocketConnection(Connection):
    """Calls by masked text frames, any number at once. It answers pings.

    Raises:
        NoWebSocket: the gateway does not take any.
    """

    def __init__(self, port: int, *, receive_bytes: int = 0) -> None:
        super().__init__(port, receive_bytes=receive_bytes)
        self._parts: list[bytes] = []
        key = base64.b64encode(os.urandom(16))
        self.send(
            b"GET /websocket HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
            % key
        )
        while (end := self.received.find(b"\r\n\r\n")) < 0:
            self.read()
        status = bytes(self.received.split(b"\r\n", 1)[0])
        if b" 101 " not in status:
            self.close()
            raise NoWebSocket(f"GET /websocket is answered {status.decode()!r}")
        del self.received[: end + 4]
        self.socket.setblocking(False)

    def call(self, body: bytes) -> None:
        """Send a call's JSON."""
        self.send(masked(TEXT, body))

    def take(self) -> bytes | None:
        """Remove one whole answer from what was received; None when there is none."""
        received = self.received
        while len(received) >= 2:
            size, start = received[1] & 127, 2
            if size > 125:
                start = 4 if size == 126 else 10
                size = int.from_bytes(received[2:start])
            if len(received) < start + size:
                return None
            kind, payload = received[0] & 15, bytes(received[start : start + size])
            is_last = received[0] & 128
            del received[: start + size]
            if kind == PING:
                self.send(masked(PONG, payload))
            elif kind not in (TEXT, CONTINUATION):
                raise SystemExit(f"a frame {kind} instead of an answer: {payload[:200]!r}")
            else:
                self._parts.append(payload)
                if is_last:
                    answer = b"".join(self._parts)
                    self._parts.clear()
                    return answer
        return None


def raise_descriptors() -> None:
    """Let this process, and those it starts, have as many connections as they may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def masked(kind: int, payload: bytes) -> bytes:
    """Return a client's frame (RFC 6455, 5.3)."""
    size = len(payload)
    if size > 65535:
        raise ValueError("a load generator sends small frames only")
    head = struct.pack("!BB", 128 | kind, 128 | min(size, 126))
    if size > 125:
        head += struct.pack("!H", size)
    mask = os.urandom(4)
    key = (mask * (size // 4 + 1))[:size]
    covered = int.from_bytes(payload) ^ int.from_bytes(key)
    return head + mask + covered.to_bytes(size)


class Poller:
    """Tells which of many connections have something to read."""

    def __init__(self, connections: Iterable[Connection] = ()) -> None:
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        for connection in connections:
            self.add(connection)

    def add(self, connection: Connection) -> None:
        """Watch a connection."""
        self._connections[connection.socket.fileno()] = connection
        self._epoll.register(connection.socket, select.EPOLLIN)

    def ready(self, timeout_seconds: float) -> list[Connection]:
        """Wait until some have."""
        events = self._epoll.poll(max(0.0, timeout_seconds), READY_MAX)
        return [self._connections[descriptor] for descriptor, _ in events]

    def close(self) -> None:
        """Watch none any more."""
        self._epoll.close()


@dataclass
class Timings:
    """What calls have taken."""

    milliseconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    """Of the whole run."""

    @property
    def per_second(self) -> float:
        """Answers in a second."""
        return len(self.milliseconds) / self.seconds

    def percentile(self, percent: int) -> float:
        """Return what so many percent of the calls have not exceeded, in milliseconds."""
        return statistics.quantiles(self.milliseconds, n=100, method="inclusive")[percent - 1]


def echo_body(number: int) -> bytes:
    """Return a call of ``return_value``; over HTTP the id has no meaning."""
    return (
        b'{"id": %d, "method": "return_value", "parameters": {"number": %d, "text": "hello"}}'
        % (number, number)
    )


def _number(answer: bytes) -> int:
    try:
        return int(json.loads(answer)["result"]["parameters"]["number"])
    except (KeyError, TypeError, ValueError):
        raise SystemExit(f"a wrong answer under load: {answer[:200]!r}") from None


class _Calls:
    """The echo calls of some connections that are under way."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self.timings = Timings()
        self.started: dict[int, float] = {}
        self._poller = Poller(connections)
        self._last = 0

    def begin(self, connection: Connection, started: float) -> None:
        """Make a call; its time counts from ``started``."""
        self._last += 1
        self.started[self._last] = started
        connection.call(echo_body(self._last))

    def take(self, timeout_seconds: float) -> list[Connection]:
        """Take answers in, and return the connections that they came over, one for each."""
        taken = []
        for connection in self._poller.ready(timeout_seconds):
            for answer in connection.answers():
                started = self.started.pop(_number(answer))
                self.timings.milliseconds.append(1000 * (time.perf_counter() - started))
                taken.append(connection)
        return taken

    def finish(self) -> None:
        """Wait for what is under way."""
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while self.started:
            if not self.take(1.0) and time.perf_counter() > deadline:
                raise SystemExit(f"{len(self.started)} calls have no answer")
        self._poller.close()


def closed_loop(connections: Sequence[Connection], in_flight: int, seconds: float) -> Timings:
    """Keep so many echo calls under way on each connection."""
    calls = _Calls(connections)
    begun = last = time.perf_counter()
    for connection in connections:
        for _ in range(in_flight):
            calls.begin(connection, time.perf_counter())
    while (now := time.perf_counter()) < begun + seconds:
        taken = calls.take(1.0)
        last = now if taken else last
        if now > last + PATIENCE_SECONDS:
            raise SystemExit("no answers any more")
        for connection in taken:
            calls.begin(connection, time.perf_counter())
    calls.timings.seconds = time.perf_counter() - begun
    count = len(calls.timings.milliseconds)
    calls.finish()
    del calls.timings.milliseconds[count:]
    return calls.timings


def steady(connections: Sequence[Connection], rate: float, seconds: float) -> Timings:
    """Make echo calls at a fixed rate, whether those before have been answered or not.

    A call that finds all connections taken counts from when it was due: the time that it waits is
    the gateway's.
    """
    calls = _Calls(connections)
    free = deque(connections)
    begun = time.perf_counter()
    for place in range(int(rate * seconds)):
        due = begun + place / rate
        while (now := time.perf_counter()) < due:
            free += calls.take(due - now)
        is_late = not free
        while not free:
            free += calls.take(1.0)
            if time.perf_counter() > due + PATIENCE_SECONDS:
                raise SystemExit("no answers any more")
        calls.begin(free.popleft(), due if is_late else time.perf_counter())
    calls.finish()
    calls.timings.seconds = time.perf_counter() - begun
    return calls.timings
