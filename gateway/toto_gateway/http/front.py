"""Requests from Tornado's connection interface to the pipeline.

The seam is ``HTTPServerConnectionDelegate``/``HTTPMessageDelegate``: any driver that feeds these
can carry the gateway. ``tornado.web`` costs 35 % of the rate of bare delegates and is not used for
calls.
"""

import asyncio
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from toto._core.failure import Failure
from toto_gateway.http.body_framing import body_length, framing_problem
from toto_gateway.http.client_address import ClientAddress
from toto_gateway.http.cors import ALLOW_METHODS, CorsPolicy
from toto_gateway.http.probes import Probes
from toto_gateway.http.responder import HTTPResponder
from toto_gateway.pipeline import Pipeline
from toto_gateway.request import Request, request_id_of

__all__ = ["CallFront", "FrontState"]

VERBS = frozenset({"POST", "GET", "HEAD"})
DISCARD_BYTES_MAX = 64 * 1024 * 1024
"""Of a refused upload so much is read and thrown away: a client that is still writing when the
connection closes often loses the answer (RFC 9112, 9.6)."""
DISCARD_SECONDS_MAX = 5.0
BODY_SECONDS_MAX = 300.0
"""The longest an upload may take."""


@dataclass(slots=True)
class FrontState:
    """What all connections of a gateway process share."""

    is_draining: bool = False
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    """Requests under way."""


class CallFront(HTTPServerConnectionDelegate):
    """Makes a delegate for each request.

    Args:
        pipeline: answers calls.
        probes: answers /livez and /readyz.
        cors: headers for other origins.
        client_address: tells clients behind proxies apart.
        max_body_bytes: longer bodies are refused.
        state: shared with the server, which drains by it.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        probes: Probes,
        cors: CorsPolicy,
        client_address: ClientAddress,
        *,
        max_body_bytes: int,
        state: FrontState,
    ) -> None:
        self.pipeline = pipeline
        self.probes = probes
        self.cors = cors
        self.client_address = client_address
        self.max_body_bytes = max_body_bytes
        self.state = state

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Return the delegate of a request that is about to arrive."""
        return _RequestDelegate(self, request_conn)

    def on_close(self, server_conn: object) -> None:
        """A connection is gone; its request, if any, was told."""


class _RequestDelegate(HTTPMessageDelegate):
    """Gathers one request, has it answered, and gives the call up when the client leaves."""

    __slots__ = (
        "_chunks",
        "_connection",
        "_front",
        "_headers",
        "_is_too_large",
        "_size",
        "_start",
        "_task",
        "_timer",
    )

    def __init__(self, front: CallFront, connection: HTTPConnection) -> None:
        self._front = front
        self._connection: Any = connection
        self._start = RequestStartLine("", "", "")
        self._headers = HTTPHeaders()
        self._chunks: list[bytes] = []
        self._size = 0
        self._is_too_large = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    # -- HTTPMessageDelegate

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Refuse at once what cannot be read, or is too long by its own word."""
        if isinstance(start_line, RequestStartLine):
            self._start = start_line
        self._headers = headers
        problem = framing_problem(headers)
        if problem is not None:
            self._refuse_unread(Failure.malformed(problem))
            return None
        length = body_length(headers)
        if length > self._front.max_body_bytes:
            if headers.get("Expect", "").lower() == "100-continue":
                # This client asks first, so it need not send any of it.
                self._refuse_unread(self._too_large())
                return None
            self._is_too_large = True
        if length or "Transfer-Encoding" in headers:
            # Tornado has such a timer too, but as a task and a future for every request.
            seconds = DISCARD_SECONDS_MAX if self._is_too_large else BODY_SECONDS_MAX
            self._start_timer(seconds)
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Gather the body, or throw away what has no chance."""
        self._size += len(chunk)
        if self._is_too_large:
            if self._size > self._front.max_body_bytes + DISCARD_BYTES_MAX:
                self._refuse(self._too_large())
            return None
        self._chunks.append(chunk)
        if self._size > self._front.max_body_bytes:
            self._chunks.clear()
            self._is_too_large = True
            self._start_timer(DISCARD_SECONDS_MAX)
        return None

    def finish(self) -> None:
        """The request is complete."""
        if self._timer is not None:
            self._timer.cancel()
        if self._is_too_large:
            self._refuse(self._too_large())
            return
        front = self._front
        request = self._request(b"".join(self._chunks))
        self._chunks = []
        responder = self._responder()
        verb = request.verb
        headers = _common_headers(request)
        if verb == "OPTIONS":
            headers += front.cors.preflight_headers(request.header("origin"))
            responder.send(204, headers, b"")
        elif verb not in VERBS:
            headers.append(("Allow", ALLOW_METHODS))
            responder.send(405, headers, b"")
        elif verb != "POST" and (probe := front.probes.answer(request.path)) is not None:
            status, body = probe
            headers.append(("Content-Type", "text/plain; charset=utf-8"))
            responder.send(status, headers, body)
        else:
            headers += front.cors.headers(request.header("origin"))
            if front.state.is_draining:
                front.pipeline.refuse(request, responder, headers, Failure.draining())
            else:
                self._run(front.pipeline.handle(request, responder, headers))

    def on_connection_close(self) -> None:
        """The client is gone while its request was arriving or being answered."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    # -- inside

    def _run(self, answering: Coroutine[Any, Any, None]) -> None:
        tasks = self._front.state.tasks
        task = self._task = asyncio.get_running_loop().create_task(answering)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        self._connection.set_close_callback(self.on_connection_close)

    def _start_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._on_body_late)

    def _on_body_late(self) -> None:
        if self._is_too_large:
            self._refuse(self._too_large())
        else:
            self._connection.close()

    def _request(self, body: bytes) -> Request:
        headers = tuple(self._headers.get_all())
        return Request(
            verb=self._start.method,
            uri=self._start.path,
            headers=headers,
            body=body,
            remote_ip=self._front.client_address.of(
                self._connection.context.remote_ip, self._headers.get("X-Forwarded-For", "")
            ),
            request_id=request_id_of(self._headers.get("X-Request-Id", "")),
        )

    def _responder(self) -> HTTPResponder:
        return HTTPResponder(
            self._connection,
            self._connection,
            is_head=self._start.method == "HEAD",
            is_http10=self._start.version == "HTTP/1.0",
            keeps_alive=not self._front.state.is_draining,
        )

    def _too_large(self) -> Failure:
        return Failure.too_large(self._front.max_body_bytes)

    def _refuse(self, failure: Failure) -> None:
        """Answer with an error; the connection closes by that if the body is not all read."""
        if self._timer is not None:
            self._timer.cancel()
        request = self._request(b"")
        headers = _common_headers(request)
        headers += self._front.cors.headers(request.header("origin"))
        self._front.pipeline.refuse(request, self._responder(), headers, failure)

    def _refuse_unread(self, failure: Failure) -> None:
        self._refuse(failure)
        # What follows on this connection must not be read as a body any more.
        for name in ("Content-Length", "Transfer-Encoding", "Expect"):
            if name in self._headers:
                del self._headers[name]


def _common_headers(request: Request) -> list[tuple[str, str]]:
    return [("X-Request-Id", request.request_id), ("X-Content-Type-Options", "nosniff")]
