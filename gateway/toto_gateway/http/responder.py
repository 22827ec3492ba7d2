"""Answers written through Tornado's ``HTTPConnection`` interface, whichever driver is behind it."""

import http
from typing import Protocol

from tornado.httputil import HTTPConnection, HTTPHeaders, ResponseStartLine
from tornado.iostream import StreamClosedError

__all__ = ["ClosableConnection", "HTTPResponder"]

_REASONS = {status.value: status.phrase for status in http.HTTPStatus}
_BODILESS = frozenset({204, 304})
RESET_CONTENT = 205
# Written by the connection itself; a method's own would lie to the client about the framing.
_FRAMING_HEADERS = frozenset({"content-length", "transfer-encoding", "connection"})


class ClosableConnection(Protocol):
    """What a driver offers beyond Tornado's interface."""

    def close(self) -> None:
        """Close at once, without finishing the response."""


class HTTPResponder:
    """The answer to one request.

    Args:
        connection: the driver's connection, for this request.
        closable: the same connection, to be cut.
        is_head: send headers only.
        is_http10: the client knows no chunks; a stream then ends with the connection.
        keeps_alive: False tells the client to use another connection for its next request.
    """

    def __init__(
        self,
        connection: HTTPConnection,
        closable: ClosableConnection,
        *,
        is_head: bool,
        is_http10: bool,
        keeps_alive: bool,
    ) -> None:
        self._connection = connection
        self._closable = closable
        self._is_head = is_head
        self._is_http10 = is_http10
        self._keeps_alive = keeps_alive
        self.status = 0
        """The status that was sent; 0 before."""

    def send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Write a whole response; one that has been started is cut instead."""
        if self.status:
            self.abort()
            return
        if status == RESET_CONTENT:
            body = b""  # it has a length, which is 0 (RFC 9110, 15.3.6)
        lines = self._lines(headers)
        if status == http.HTTPStatus.UPGRADE_REQUIRED:
            lines.add("Connection", "Upgrade")  # goes with the header Upgrade (RFC 9110, 7.8)
        if not self._is_head and status not in _BODILESS:
            lines["Content-Length"] = str(len(body))
        self._write_head(status, lines, b"" if self._is_head or status in _BODILESS else body)
        self._connection.finish()

    def start(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Write the head of a stream."""
        self._write_head(status, self._lines(headers), b"")

    async def write(self, chunk: bytes) -> None:
        """Write a part of a stream; returns when the kernel has taken it.

        Raises:
            ConnectionResetError: when the client has gone.
        """
        try:
            await self._connection.write(chunk)
        except StreamClosedError as error:
            raise ConnectionResetError("the client has gone") from error

    def finish(self) -> None:
        """End a stream."""
        self._connection.finish()
        if self._is_http10:
            self.abort()

    def abort(self) -> None:
        """Close the connection without the final chunk."""
        self._closable.close()

    def _write_head(self, status: int, lines: HTTPHeaders, chunk: bytes) -> None:
        self.status = status
        start = ResponseStartLine("HTTP/1.1", status, _REASONS.get(status, "Unknown"))
        # The future is not awaited: that the client has gone is also told to the delegate.
        self._connection.write_headers(start, lines, chunk)

    def _lines(self, headers: list[tuple[str, str]]) -> HTTPHeaders:
        lines = HTTPHeaders()
        for name, value in headers:
            if name.lower() not in _FRAMING_HEADERS:
                lines.add(name, value)
        if not self._keeps_alive:
            lines["Connection"] = "close"
        return lines
