"""Requests from Tornado's connection interface to the pipeline.

The seam is ``HTTPServerConnectionDelegate``/``HTTPMessageDelegate``: any driver that feeds these
can carry the gateway. ``tornado.web`` costs 35 % of the rate of bare delegates and is not used for
calls.
"""

import asyncio
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
from toto_gateway.websocket.endpoint import SocketEndpoint
from toto_gateway.websocket.upgrade import Refusal, Upgrade

if TYPE_CHECKING:
    from toto_gateway.http.static_files import StaticFiles

__all__ = ["CallFront", "FrontState", "Mounts"]

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
    """Requests under way, and open WebSockets."""
    sockets: dict[object, asyncio.Task[None]] = field(default_factory=dict)
    """The latter, by the connections that they have taken over."""


@dataclass(frozen=True, slots=True)
class Mounts:
    """What answers the requests that call no method."""

    probes: Probes
    files: "StaticFiles | None" = None
    sockets: SocketEndpoint | None = None


class CallFront(HTTPServerConnectionDelegate):
    """Makes a delegate for each request.

    Args:
        pipeline: answers calls.
        mounts: answers what is no call.
        cors: headers for other origins.
        client_address: tells clients behind proxies apart.
        max_body_bytes: longer bodies are refused.
        state: shared with the server, which drains by it.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        mounts: Mounts,
        cors: CorsPolicy,
        client_address: ClientAddress,
        *,
        max_body_bytes: int,
        state: FrontState,
    ) -> None:
        self.pipeline = pipeline
        self.mounts = mounts
        self.cors = cors
        self.client_address = client_address
        self.max_body_bytes = max_body_bytes
        self.state = state

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Return the delegate of a request that is about to arrive."""
        return _RequestDelegate(self, server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """A connection is gone; its request, if any, was told."""

    def drain(self) -> None:
        """Refuse what comes from now on, and have open WebSockets end."""
        self.state.is_draining = True
        if self.mounts.sockets is not None:
            self.mounts.sockets.drain()


class _RequestDelegate(HTTPMessageDelegate):
    """Gathers one request, has it answered, and gives the call up when the client leaves."""

    __slots__ = (
        "_chunks",
        "_connection",
        "_front",
        "_headers",
        "_is_too_large",
        "_refusal",
        "_server_connection",
        "_size",
        "_start",
        "_task",
        "_timer",
    )

    def __init__(
        self, front: CallFront, server_connection: object, connection: HTTPConnection
    ) -> None:
        self._front = front
        self._server_connection = server_connection
        self._connection: Any = connection
        self._start = RequestStartLine("", "", "")
        self._headers = HTTPHeaders()
        self._chunks: list[bytes] = []
        self._size = 0
        self._is_too_large = False
        self._refusal: Refusal | None = None
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
        if self._is_upgrading(has_body=bool(length) or "Transfer-Encoding" in headers):
            return None
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
        if self._refusal is not None:
            self._refuse(*self._refusal)
            return
        if self._connection.stream is None or self._connection.stream.closed():
            return  # a client that sent many at once, and left, waits for none of them
        front = self._front
        request = self._request(b"".join(self._chunks))
        self._chunks = []
        responder = self._responder()
        verb = request.verb
        headers = _common_headers(request)
        if (
            verb in ("GET", "HEAD")
            and (probe := front.mounts.probes.answer(request.path)) is not None
        ):
            status, body = probe
            headers.append(("Content-Type", "text/plain; charset=utf-8"))
            responder.send(status, headers, body)
        elif (file := self._file_delegate(request)) is not None:
            file.headers_received(self._start, self._headers)
            file.finish()
        elif verb == "OPTIONS":
            headers += front.cors.preflight_headers(request.header("origin"))
            responder.send(204, headers, b"")
        elif verb not in VERBS:
            headers.append(("Allow", ALLOW_METHODS))
            responder.send(405, headers, b"")
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

    def _is_upgrading(self, *, has_body: bool) -> bool:
        """Hand the connection over if it becomes a WebSocket; to do so later is too late."""
        sockets, start = self._front.mounts.sockets, self._start
        if sockets is None or not sockets.is_about(start.method, start.path):
            return False
        judgement = sockets.judge(
            self._request(b""), is_http11=start.version == "HTTP/1.1", has_body=has_body
        )
        if isinstance(judgement, Refusal):
            self._refusal = judgement
            return False
        self._open_socket(sockets, judgement)
        return True

    def _open_socket(self, sockets: SocketEndpoint, upgrade: Upgrade) -> None:
        state, server_connection = self._front.state, self._server_connection
        stream = self._connection.detach()
        task = asyncio.get_running_loop().create_task(sockets.serve(upgrade, stream))
        state.tasks.add(task)
        state.sockets[server_connection] = task

        def on_done(task: asyncio.Task[None]) -> None:
            stream.close()
            state.tasks.discard(task)
            del state.sockets[server_connection]

        task.add_done_callback(on_done)

    def _file_delegate(self, request: Request) -> HTTPMessageDelegate | None:
        files = self._front.mounts.files
        if files is None:
            return None
        return files.delegate_for(
            request.verb, request.path, self._server_connection, self._connection
        )

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

    def _refuse(
        self, failure: Failure, status: int = 0, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Answer with an error; the connection closes by that if the body is not all read."""
        if self._timer is not None:
            self._timer.cancel()
        request = self._request(b"")
        all_headers = [*_common_headers(request), *headers]
        all_headers += self._front.cors.headers(request.header("origin"))
        self._front.pipeline.refuse(request, self._responder(), all_headers, failure, status=status)

    def _refuse_unread(self, failure: Failure) -> None:
        self._refuse(failure)
        # What follows on this connection must not be read as a body any more.
        for name in ("Content-Length", "Transfer-Encoding", "Expect"):
            if name in self._headers:
                del self._headers[name]


def _common_headers(request: Request) -> list[tuple[str, str]]:
    return [("X-Request-Id", request.request_id), ("X-Content-Type-Options", "nosniff")]
