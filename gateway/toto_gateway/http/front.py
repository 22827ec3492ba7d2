"""Requests from Tornado's connection interface to the pipeline.

The seam is ``HTTPServerConnectionDelegate``/``HTTPMessageDelegate``: any driver that feeds these
can carry the gateway. ``tornado.web`` costs 35 % of the rate of bare delegates and is not used for
calls.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
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
UNKNOWN_LENGTH = 2**62


@dataclass(slots=True)
class FrontState:
    """What all connections of a gateway process share."""

    is_draining: bool = False
    requests: int = 0
    """Requests under way."""


class CallFront(HTTPServerConnectionDelegate):
    """Makes a delegate for each request.

    Args:
        pipeline: answers calls.
        probes: answers /livez and /readyz.
        cors: headers for other origins.
        max_body_bytes: longer bodies are refused.
        state: shared with the server, which drains by it.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        probes: Probes,
        cors: CorsPolicy,
        *,
        max_body_bytes: int,
        state: FrontState,
    ) -> None:
        self.pipeline = pipeline
        self.probes = probes
        self.cors = cors
        self.max_body_bytes = max_body_bytes
        self.state = state
        self.tasks: set[asyncio.Task[None]] = set()

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
        "_body_timer",
        "_chunks",
        "_connection",
        "_discarding",
        "_front",
        "_headers",
        "_length",
        "_size",
        "_start",
        "_task",
    )

    def __init__(self, front: CallFront, connection: HTTPConnection) -> None:
        self._front = front
        self._connection: Any = connection
        self._start = RequestStartLine("", "", "")
        self._headers = HTTPHeaders()
        self._chunks: list[bytes] = []
        self._size = 0
        self._length = 0
        self._body_timer: asyncio.TimerHandle | None = None
        self._discarding: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    # -- HTTPMessageDelegate

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Refuse at once what is too long by its own word."""
        if isinstance(start_line, RequestStartLine):
            self._start = start_line
        self._headers = headers
        problem = framing_problem(headers)
        if problem is not None:
            self._refuse_framing(problem)
            return None
        chunked = "Transfer-Encoding" in headers
        self._length = UNKNOWN_LENGTH if chunked else body_length(headers)
        if not chunked and self._length > self._front.max_body_bytes:
            self._begin_discarding()
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Gather the body."""
        if not self._size and len(chunk) < self._length:
            # Only a body that comes in pieces needs a timer; Tornado's own costs every request.
            self._body_timer = asyncio.get_running_loop().call_later(
                BODY_SECONDS_MAX, self._connection.close
            )
        self._size += len(chunk)
        if self._discarding is None:
            self._chunks.append(chunk)
            if self._size > self._front.max_body_bytes:
                self._chunks.clear()
                self._begin_discarding()
        elif self._size > self._front.max_body_bytes + DISCARD_BYTES_MAX:
            self._refuse_body()
        return None

    def finish(self) -> None:
        """The request is complete."""
        if self._body_timer is not None:
            self._body_timer.cancel()
        if self._discarding is not None:
            self._refuse_body()
            return
        request = self._request(b"".join(self._chunks))
        self._chunks = []
        responder = self._responder()
        verb = request.verb
        headers = self._common_headers(request)
        if verb == "OPTIONS":
            headers += self._front.cors.preflight_headers(request.header("origin"))
            responder.send(204, headers, b"")
        elif verb not in VERBS:
            headers.append(("Allow", ALLOW_METHODS))
            responder.send(405, headers, b"")
        elif verb != "POST" and (probe := self._front.probes.answer(request.path)) is not None:
            status, body = probe
            headers.append(("Content-Type", "text/plain; charset=utf-8"))
            responder.send(status, headers, body)
        elif self._front.state.is_draining:
            headers += self._front.cors.headers(request.header("origin"))
            self._front.pipeline.refuse(request, responder, headers, Failure.draining())
        else:
            headers += self._front.cors.headers(request.header("origin"))
            self._run(self._front.pipeline.handle(request, responder, headers))

    def on_connection_close(self) -> None:
        """The client is gone while its request was arriving or being answered."""
        for timer in (self._body_timer, self._discarding):
            if timer is not None:
                timer.cancel()
        if self._task is not None:
            self._task.cancel()

    # -- inside

    def _run(self, answering: Any) -> None:
        state, tasks = self._front.state, self._front.tasks
        state.requests += 1
        task = self._task = asyncio.get_running_loop().create_task(answering)
        tasks.add(task)

        def done(finished: asyncio.Task[None]) -> None:
            state.requests -= 1
            tasks.discard(finished)

        task.add_done_callback(done)
        self._connection.set_close_callback(self.on_connection_close)

    def _request(self, body: bytes) -> Request:
        headers = tuple(self._headers.get_all())
        return Request(
            verb=self._start.method,
            uri=self._start.path,
            headers=headers,
            body=body,
            remote_ip=self._connection.context.remote_ip,
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

    def _common_headers(self, request: Request) -> list[tuple[str, str]]:
        return [("X-Request-Id", request.request_id), ("X-Content-Type-Options", "nosniff")]

    def _begin_discarding(self) -> None:
        self._discarding = asyncio.get_running_loop().call_later(
            DISCARD_SECONDS_MAX, self._refuse_body
        )
        if self._headers.get("Expect", "").lower() == "100-continue" and not self._size:
            # This client asks first, so it need not send any of it.
            self._refuse_body()

    def _refuse_framing(self, problem: str) -> None:
        request = self._request(b"")
        headers = self._common_headers(request)
        self._front.pipeline.refuse(request, self._responder(), headers, Failure.malformed(problem))
        # Answered, and closed by that; what follows on the connection must not be read as a body.
        for name in ("Content-Length", "Transfer-Encoding"):
            if name in self._headers:
                del self._headers[name]

    def _refuse_body(self) -> None:
        if self._discarding is None or self._task is not None:
            return
        self._discarding.cancel()
        request = self._request(b"")
        headers = self._common_headers(request)
        headers += self._front.cors.headers(request.header("origin"))
        failure = Failure.too_large(self._front.max_body_bytes)

        async def refuse() -> None:
            self._front.pipeline.refuse(request, self._responder(), headers, failure)

        self._run(refuse())
