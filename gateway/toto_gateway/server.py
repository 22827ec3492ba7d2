"""One gateway process: the HTTP server, the pipeline and the dispatch client on one event loop."""

import asyncio
import logging
import resource
import socket
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from toto._core.stopping import stop_wanted
from toto_gateway.http.front import CallFront, FrontState

__all__ = ["GatewayServer", "Pool"]

_log = logging.getLogger("toto.gateway")

MAX_HEADER_BYTES = 16 * 1024
IDLE_CONNECTION_SECONDS = 75.0
READ_BUFFER_BYTES = 1024 * 1024
UNLIMITED_BYTES = 2**62
"""Tornado answers a body over its limit with a bare 400; the front answers 413 with an error."""
CANCEL_SECONDS = 1.0
OTHER_DESCRIPTORS = 48
"""Kept free for sockets of workers, pidfds, logs and what accept takes before it is closed."""
SEND_BUFFER_BYTES = 256 * 1024
"""Of the kernel, per connection: what a slow client may leave there counts as delivered."""


class _BoundedHTTPServer(HTTPServer):
    """Closes connections beyond a number at once.

    Without that, a process that has run out of descriptors can neither accept nor refuse: the
    loop spins on the listening socket.
    """

    connections_left = 0
    state: FrontState

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Serve a new connection, or close it."""
        if self.connections_left <= 0:
            stream.close()
            return
        self.connections_left -= 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        """Make room for another connection, unless a WebSocket has taken this one over."""
        task = self.state.sockets.get(server_conn)
        if task is None:
            self._make_room()
        else:
            task.add_done_callback(self._make_room)
        super().on_close(server_conn)

    def _make_room(self, task: asyncio.Task[None] | None = None) -> None:
        self.connections_left += 1


class Pool(Protocol):
    """The part of the dispatch client that the server opens and closes."""

    def open(self) -> None:
        """Begin to take workers."""

    def close(self) -> None:
        """Let all workers go."""

    def wind_up(self) -> None:
        """End the calls that merely wait for events."""

    async def close_events(self) -> None:
        """End the connections that events take."""


class Sessions(Protocol):
    """The part of the sessions that the server closes."""

    async def close(self) -> None:
        """End all connections to the stores."""


class GatewayServer:
    """Serves until it is told to stop, then drains.

    Args:
        front: makes delegates for requests.
        pool: the workers.
        sessions: the stores.
        sockets: listening, inherited from the supervisor.
        state: shared with the front.
        graceful_timeout_seconds: what running requests may take at the end.
    """

    def __init__(
        self,
        front: CallFront,
        pool: Pool,
        sessions: Sessions,
        sockets: Sequence[socket.socket],
        *,
        state: FrontState,
        graceful_timeout_seconds: float,
    ) -> None:
        self._front = front
        self._pool = pool
        self._sessions = sessions
        self._sockets = sockets
        self._state = state
        self._graceful_timeout_seconds = graceful_timeout_seconds
        self._http = _BoundedHTTPServer(
            front,
            max_header_size=MAX_HEADER_BYTES,
            max_body_size=UNLIMITED_BYTES,
            max_buffer_size=READ_BUFFER_BYTES,
            idle_connection_timeout=IDLE_CONNECTION_SECONDS,
            decompress_request=False,
        )
        self._http.connections_left = _connections_max()
        self._http.state = state

    async def serve(self, *, on_ready: Callable[[], None], parent_pipe: int | None = None) -> None:
        """Run until SIGTERM, or until the supervisor at the other end of the pipe is gone.

        Raises:
            zmq.ZMQError: when the endpoint for workers cannot be bound.
        """
        loop = asyncio.get_running_loop()
        stop = stop_wanted(loop, parent_pipe)
        try:
            self._pool.open()
            for listener in self._sockets:
                # Inherited by every connection this socket accepts.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            self._http.add_sockets(self._sockets)
            on_ready()
            await stop.wait()
            await self._drain()
        finally:
            self._pool.close()
            await self._pool.close_events()
            await self._sessions.close()

    async def _drain(self) -> None:
        """Fail readiness, take no new connections, finish, cancel: each step bounded."""
        tasks = set(self._state.tasks)
        sockets = len(self._state.sockets)
        _log.info(
            "stopping with %d requests under way and %d WebSockets", len(tasks) - sockets, sockets
        )
        self._front.drain()
        self._http.stop()
        self._pool.wind_up()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._graceful_timeout_seconds)
            for task in late:
                task.cancel()
            if late:
                _log.warning("%d requests cut off", len(late))
                await asyncio.wait(late, timeout=CANCEL_SECONDS)
        await self._http.close_all_connections()


def _connections_max() -> int:
    """Return how many connections the process has descriptors for, after raising its soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(1, soft - OTHER_DESCRIPTORS)
