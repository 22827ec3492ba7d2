"""WebSocket clients: one speaks the gateway's messages, one writes any bytes as frames."""

import itertools
import json
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgpack
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.utils import apply_mask

from toto_testkit.cluster import Cluster
from toto_testkit.formats import JSON, Format
from toto_testkit.http import Head, RawConnection, request_bytes

TARGET = "/websocket"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # of this key, both from RFC 6455, section 1.3
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}
MASK = b"\x37\xfa\x21\x3d"
PATIENCE_SECONDS = 10.0
BATCH_MAX = 10
THREADS = 20
TIMEOUT_SECONDS = 10.0


@contextmanager
def serving_sockets(directory: Path, **options: Any) -> Iterator[Cluster]:
    """Start one worker and a gateway with WebSockets, for tests that neither stop nor kill.

    Raises:
        AssertionError: the gateway's process did not live to the end, or has logged an error of
            its own; methods may fail.
    """
    all_options = {"use_web_sockets": True, **options}
    with Cluster(directory, workers=1, options=all_options) as started:
        pids = started.gateway_pids()
        yield started
        assert started.gateway_pids() == pids
        lines = started.output().splitlines()
    errors = [line for line in lines if " ERROR " in line and " gateway-" in line]
    assert not errors, errors


# -- a client that speaks the gateway's messages


class Socket:
    """A client of the gateway's messages.

    Args:
        connection: an open one.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._kept: list[Any] = []
        self._numbers = itertools.count(1)

    @property
    def handshake_headers(self) -> dict[str, str]:
        """The headers of the handshake's answer; names are in lower case."""
        response = self._connection.response
        assert response is not None
        return {name.lower(): text for name, text in response.headers.raw_items()}

    def send(self, message: Any, body_format: Format = JSON) -> None:
        """Send a value: JSON as text, any other format as bytes."""
        data = body_format.dumps(message)
        self.send_data(data.decode() if body_format is JSON else data)

    def send_data(self, data: str | bytes) -> None:
        """Send a message as it is."""
        self._connection.send(data)

    def receive_data(self, timeout_seconds: float = PATIENCE_SECONDS) -> str | bytes:
        """Return the next message as it came."""
        return self._connection.recv(timeout_seconds)

    def receive(self, timeout_seconds: float = PATIENCE_SECONDS) -> Any:
        """Return the next message decoded: text from JSON, bytes from msgpack."""
        if self._kept:
            return self._kept.pop(0)
        return self._decoded(self.receive_data(timeout_seconds))

    def receive_of(self, call_id: Any, timeout_seconds: float = PATIENCE_SECONDS) -> Any:
        """Return the next message that carries this id; others are kept for later."""
        for position, message in enumerate(self._kept):
            if _id_of(message) == call_id:
                return self._kept.pop(position)
        while True:
            message = self._decoded(self.receive_data(timeout_seconds))
            if _id_of(message) == call_id:
                return message
            self._kept.append(message)

    def is_quiet(self, seconds: float = 0.2) -> bool:
        """Tell whether nothing comes for a while."""
        try:
            self._kept.append(self._decoded(self.receive_data(seconds)))
        except TimeoutError:
            return not self._kept
        return False

    def call(
        self, method: str, parameters: Any = None, body_format: Format = JSON, **more: Any
    ) -> dict[str, Any]:
        """Call a method under an id of its own, and return the answer without that id."""
        call_id = f"call {next(self._numbers)}"
        given = {} if parameters is None else parameters
        self.send({"id": call_id, "method": method, "parameters": given, **more}, body_format)
        answer = self.receive_of(call_id)
        assert isinstance(answer, dict)
        del answer["id"]
        return answer

    def result(self, method: str, parameters: Any = None, **more: Any) -> Any:
        """Call a method and return its result; an error fails the test."""
        answer = self.call(method, parameters, **more)
        assert "error" not in answer, answer
        return answer["result"]

    def error(self, method: str, parameters: Any = None, **more: Any) -> dict[str, Any]:
        """Call a method and return its error; a result fails the test."""
        answer = self.call(method, parameters, **more)
        assert "result" not in answer, answer
        error = answer["error"]
        assert isinstance(error, dict)
        return error

    def stream(self, call_id: Any, timeout_seconds: float = PATIENCE_SECONDS) -> list[Any]:
        """Return the messages of a stream up to its end or error."""
        messages = [self.receive_of(call_id, timeout_seconds)]
        while "item" in messages[-1]:
            messages.append(self.receive_of(call_id, timeout_seconds))
        return messages

    def items(self, method: str, parameters: Any = None, body_format: Format = JSON) -> list[Any]:
        """Call a streaming method and return its items; it must end well."""
        call_id = f"call {next(self._numbers)}"
        self.send({"id": call_id, "method": method, "parameters": parameters or {}}, body_format)
        *items, end = self.stream(call_id)
        assert end.get("end") is True, end
        return [item["item"] for item in items]

    def close_code(self, timeout_seconds: float = PATIENCE_SECONDS) -> int | None:
        """Wait until the server closes; return its code, or None when it just hung up."""
        try:
            while True:
                self.receive_data(timeout_seconds)
        except ConnectionClosed as closed:
            return None if closed.rcvd is None else closed.rcvd.code

    @staticmethod
    def _decoded(data: str | bytes) -> Any:
        return json.loads(data) if isinstance(data, str) else msgpack.unpackb(data)


def _id_of(message: Any) -> Any:
    return message.get("id") if isinstance(message, dict) else None


@contextmanager
def open_socket(
    cluster: Cluster,
    target: str = TARGET,
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[Socket]:
    """Open a WebSocket for the length of a block; it is closed in good form at its end.

    Args:
        cluster: whose.
        target: path and query.
        headers: of the handshake, beside those that it must have.
        options: of ``websockets.sync.client.connect``.

    Raises:
        InvalidStatus: the handshake was refused.
    """
    given = {"compression": None, "proxy": None, "ping_interval": None, "max_size": None}
    uri = f"ws://127.0.0.1:{cluster.port}{target}"
    with connect(uri, additional_headers=headers, **{**given, **options}) as connection:
        yield Socket(connection)


# -- a client that writes any bytes as frames


class Opcode(IntEnum):
    """What a frame is (RFC 6455, section 11.8)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


@dataclass(frozen=True)
class Frame:
    """A frame as the server has sent it."""

    opcode: int
    payload: bytes
    is_final: bool = True


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    is_final: bool = True,
    reserved: int = 0,
    mask: bytes | None = MASK,
    size: int | None = None,
    size_bytes: int | None = None,
) -> bytes:
    """Write a frame, right or wrong.

    Args:
        reserved: the three reserved bits, 0 to 7.
        mask: None leaves the frame unmasked.
        size: what the length says; by default the truth.
        size_bytes: how many bytes follow the seven bits of the length: 0, 2 or 8; by default as
            few as will do.
    """
    size = len(payload) if size is None else size
    if size_bytes is None:
        size_bytes = 0 if size < 126 else 2 if size < 65536 else 8
    seven_bits = {0: size, 2: 126, 8: 127}[size_bytes]
    head = bytes([is_final << 7 | reserved << 4 | opcode, (mask is not None) << 7 | seven_bits])
    length = size.to_bytes(size_bytes, "big") if size_bytes else b""
    if mask is None:
        return head + length + payload
    return head + length + mask + (apply_mask(payload, mask) if payload else b"")


def text(message: Any) -> bytes:
    """Write a message as one text frame."""
    return frame(Opcode.TEXT, json.dumps(message).encode())


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """Write a close frame."""
    return frame(Opcode.CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


class RawSocket(RawConnection):
    """A connection that writes bytes and reads frames, once hands were shaken."""

    handshake_headers: Mapping[str, str]

    def shake_hands(
        self, target: str = TARGET, headers: Mapping[str, str] | None = None, behind: bytes = b""
    ) -> Head:
        """Send a handshake, with frames right behind it, and read its answer, which must be 101."""
        self.send(handshake(target, headers) + behind)
        return self.read_switch()

    def read_switch(self) -> Head:
        """Read the answer to a handshake, which must be 101 and right in all its parts."""
        head = self.read_head()
        assert head.status == 101, head
        assert head.headers["upgrade"].lower() == "websocket"
        assert head.headers["connection"].lower() == "upgrade"
        assert head.headers["sec-websocket-accept"] == ACCEPT
        self.handshake_headers = head.headers
        return head

    def read_frame(self) -> Frame:
        """Read the next frame; a masked one fails the test, as servers must not mask."""
        first, second = self._read_exactly(2)
        assert not second & 0x80, "a server's frame is masked"
        assert not first & 0x70, "a reserved bit is set"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._read_exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._read_exactly(8))
        return Frame(first & 0x0F, self._read_exactly(size), bool(first & 0x80))

    def read_exactly(self, size: int) -> bytes:
        """Read so many bytes."""
        return self._read_exactly(size)

    def read_message(self) -> Any:
        """Read the next message, which must be text in one piece, and decode it."""
        found = self.read_frame()
        assert (found.opcode, found.is_final) == (Opcode.TEXT, True), found
        return json.loads(found.payload)

    def read_close(self) -> int | None:
        """Read frames up to a close, which must be the last thing that comes; return its code."""
        while (found := self.read_frame()).opcode != Opcode.CLOSE:
            continue
        assert self.read_to_end() == b""
        if not found.payload:
            return None
        (code,) = struct.unpack("!H", found.payload[:2])
        found.payload[2:].decode()
        return int(code)

    def call(self, method: str, parameters: Any = None) -> Any:
        """Call a method in Toto's form and return the answer, the next message."""
        self.send(text({"method": method, "parameters": parameters}))
        return self.read_message()

    def flood(self, data: bytes, size: int, seconds: float) -> int:
        """Send the same bytes again and again and read nothing, until the server takes no more.

        Returns:
            How many bytes went out: at most about ``size``, within about so many seconds.
        """
        self._socket.settimeout(0.3)
        sent, give_up_at = 0, time.monotonic() + seconds
        with suppress(OSError):
            while sent < size and time.monotonic() < give_up_at:
                self._socket.sendall(data)
                sent += len(data)
        return sent


def handshake(target: str = TARGET, headers: Mapping[str, str] | None = None) -> bytes:
    """Write a handshake; the given headers are added, or replace what it must have."""
    return request_bytes("GET", target, {**HANDSHAKE, **(headers or {})})


@contextmanager
def open_raw(
    cluster: Cluster,
    target: str = TARGET,
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[RawSocket]:
    """Open a connection that has shaken hands; the options are those of ``RawConnection``."""
    with RawSocket(cluster.port, **options) as connection:
        connection.shake_hands(target, headers)
        yield connection


# -- what a process holds


def rss_mib(pid: int) -> float:
    """Return how much memory a process has in use, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
