"""A server that sends all messages of a WebSocket back: the gateway's own, but for the calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets

from toto_gateway.http.client_address import ClientAddress
from toto_gateway.http.cors import CorsPolicy
from toto_gateway.http.front import CallFront, FrontState, Mounts
from toto_gateway.http.probes import Probes
from toto_gateway.pipeline import Pipeline
from toto_gateway.websocket.connection import SocketConnection, SocketTimes
from toto_gateway.websocket.conversation import SocketServices
from toto_gateway.websocket.endpoint import SocketEndpoint
from toto_gateway.websocket.upgrade import Upgrade, UpgradePolicy

HOST = "127.0.0.1"
PATH = "/websocket"


class EchoEndpoint(SocketEndpoint):
    """Opens sockets as the gateway does, and has no use for calls.

    Args:
        max_message_bytes: of a client.
    """

    def __init__(self, *, max_message_bytes: int) -> None:
        policy = UpgradePolicy(
            PATH, allow_origin="", cookie=None, max_message_bytes=max_message_bytes
        )
        super().__init__(policy, cast(SocketServices, None))
        self.faults: list[Exception] = []
        """What no connection may end with."""

    async def serve(self, upgrade: Upgrade, stream: IOStream) -> None:
        """Send back what comes until the client has gone."""
        connection = SocketConnection(
            stream, upgrade.protocol, upgrade.response, times=SocketTimes()
        )
        try:
            await connection.run(_Echo(connection))
        except Exception as error:  # noqa: BLE001  # the test wants to see it
            self.faults.append(error)


class _Echo:
    """A listener that answers a message with itself."""

    def __init__(self, connection: SocketConnection) -> None:
        self._connection = connection

    async def open(self) -> None:
        pass

    async def on_message(self, body: bytes, *, is_text: bool) -> None:
        try:
            await self._connection.send((body,), is_text=is_text)
        except ConnectionError:
            return  # the client has gone, as it may

    def close(self) -> None:
        pass

    async def wait_closed(self) -> None:
        pass


@asynccontextmanager
async def echo_server(endpoint: EchoEndpoint) -> AsyncIterator[str]:
    """Serve sockets at the URL; all have ended when the block is left."""
    state = FrontState()
    front = CallFront(
        cast(Pipeline, None),  # nobody calls anything
        Mounts(Probes(is_draining=lambda: False, worker_count=lambda: 0), sockets=endpoint),
        CorsPolicy(""),
        ClientAddress(()),
        max_body_bytes=0,
        state=state,
    )
    server = HTTPServer(front)
    (listening,) = bind_sockets(0, HOST)
    server.add_socket(listening)
    try:
        yield f"ws://{HOST}:{listening.getsockname()[1]}{PATH}"
    finally:
        server.stop()
        for task in state.tasks:
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        await server.close_all_connections()
