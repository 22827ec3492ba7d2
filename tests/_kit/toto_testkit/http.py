"""A small HTTP/1.1 client over plain sockets: tests see and send the very bytes."""

import json
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

NO_BODY_STATUS = {204, 304}


class ConnectionEnded(Exception):
    """The server closed the connection in the middle of an answer, or before one."""


@dataclass(frozen=True)
class Head:
    """Status and headers of an answer; names are in lower case, repeats joined by a comma."""

    status: int
    headers: dict[str, str]

    @property
    def is_chunked(self) -> bool:
        """Tell whether the body comes in chunks."""
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    @property
    def content_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Response(Head):
    """A whole answer."""

    body: bytes

    def json(self) -> Any:
        """Decode the body, whatever its content type says."""
        return json.loads(self.body)

    @property
    def result(self) -> Any:
        """The result in a JSON envelope; an error envelope fails the test."""
        envelope = self.json()
        assert "error" not in envelope, envelope
        return envelope["result"]

    @property
    def error(self) -> dict[str, Any]:
        """The error in a JSON envelope; a result fails the test."""
        envelope = self.json()
        assert "result" not in envelope, envelope
        error = envelope["error"]
        assert isinstance(error, dict), envelope
        return error


def request_bytes(
    verb: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> bytes:
    """Write a request; Host and Content-Length are added unless they are given."""
    given = dict(headers or {})
    names = {name.lower() for name in given}
    if "host" not in names:
        given["Host"] = "127.0.0.1"
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        given["Content-Length"] = str(len(body))
    lines = [f"{verb} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in given.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


class RawConnection:
    """One connection to a server on the loopback address."""

    def __init__(
        self, port: int, *, timeout_seconds: float = 15.0, receive_buffer_bytes: int | None = None
    ) -> None:
        self._socket = socket.socket()
        self._socket.settimeout(timeout_seconds)
        self._buffer = bytearray()
        if receive_buffer_bytes is not None:
            size = receive_buffer_bytes
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        try:
            self._socket.connect(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; harmless twice."""
        self._socket.close()

    def reset(self) -> None:
        """Close with a RST, as a host that has lost the connection does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def half_close(self) -> None:
        """Tell the server that nothing more will be sent; answers can still be read."""
        self._socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def request(
        self,
        verb: str,
        target: str = "/",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        """Send one well-formed request."""
        self.send(request_bytes(verb, target, headers, body))

    def read_response(self, verb: str = "POST") -> Response:
        """Read one whole answer to a request of that verb."""
        head = self.read_head()
        return Response(head.status, head.headers, self._read_body(head, verb))

    def read_head(self, *, keep_continue: bool = False) -> Head:
        """Read the status line and headers, passing over ``100 Continue`` unless told."""
        while True:
            version, _, rest = self._read_line().partition(" ")
            if not version.startswith("HTTP/1."):
                raise AssertionError(f"no HTTP answer: {version} {rest}")
            headers: dict[str, str] = {}
            while line := self._read_line():
                name, _, text = line.partition(":")
                key, text = name.strip().lower(), text.strip()
                headers[key] = f"{headers[key]}, {text}" if key in headers else text
            head = Head(int(rest.split()[0]), headers)
            if head.status != 100 or keep_continue:
                return head

    def read_chunk(self) -> bytes | None:
        """Read one chunk of a chunked body; None is the final one."""
        size = int(self._read_line().partition(";")[0], 16)
        data = self._read_exactly(size)
        end = self._read_line()
        if end:
            raise AssertionError(f"no line end after a chunk: {end!r}")
        return data if size else None

    def chunks(self) -> Iterator[bytes]:
        """Read chunks up to the final one."""
        while (chunk := self.read_chunk()) is not None:
            yield chunk

    def lines(self) -> Iterator[bytes]:
        """Read a chunked body line by line, each as soon as it is complete."""
        pending = b""
        for chunk in self.chunks():
            *complete, pending = (pending + chunk).split(b"\n")
            yield from complete
        if pending:
            yield pending

    def read_to_end(self) -> bytes:
        """Read all the server sends until it closes; a reset counts as closing."""
        try:
            while self._fill():
                continue
        except ConnectionResetError:
            pass
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def _read_body(self, head: Head, verb: str) -> bytes:
        if verb == "HEAD" or head.status in NO_BODY_STATUS:
            return b""
        if head.is_chunked:
            return b"".join(self.chunks())
        if "content-length" in head.headers:
            return self._read_exactly(int(head.headers["content-length"]))
        return self.read_to_end()

    def _read_line(self) -> str:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._need_more()
        line = self._buffer[:end].decode("latin-1")
        del self._buffer[: end + 2]
        return line

    def _read_exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._need_more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _need_more(self) -> None:
        if not self._fill():
            raise ConnectionEnded(f"closed after {bytes(self._buffer[:200])!r}")

    def _fill(self) -> bool:
        data = self._socket.recv(65536)
        self._buffer += data
        return bool(data)


def fetch(
    url: str,
    verb: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float = 15.0,
) -> Response:
    """Send one request over a connection of its own and read the whole answer."""
    parts = urlsplit(url)
    if parts.port is None:
        raise AssertionError(f"no port in {url}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with RawConnection(parts.port, timeout_seconds=timeout_seconds) as connection:
        connection.request(verb, target, headers, body)
        return connection.read_response(verb)


def fetch_status(url: str) -> int | None:
    """Return the status of a GET, or None when nobody answers."""
    try:
        return fetch(url, timeout_seconds=2.0).status
    except (OSError, ConnectionEnded):
        return None
