"""Both ends of a WebSocket in one process, over a real socket, on a clock that tests turn."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tornado.iostream import IOStream
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from toto_gateway.websocket.connection import SocketConnection, SocketTimes
from toto_testkit.conversing import until
from toto_testkit.jumping_loop import run_jumping

RESPONSE = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
MESSAGE_BYTES_MAX = 10_000
MASK = b"\x01\x02\x03\x04"


@dataclass
class Listening:
    """A listener that keeps what it is told."""

    messages: list[tuple[bytes, bool]] = field(default_factory=list)
    is_closed: bool = False
    fault: Exception | None = None

    async def open(self) -> None:
        pass

    async def on_message(self, body: bytes, *, is_text: bool) -> None:
        assert type(body) is bytes
        self.messages.append((body, is_text))
        if self.fault is not None:
            raise self.fault

    def close(self) -> None:
        self.is_closed = True

    async def wait_closed(self) -> None:
        assert self.is_closed


class Pair:
    """Both ends of a connection; the client's end knows the protocol, and can break it."""

    def __init__(self) -> None:
        server, self.client = socket.socketpair()
        for end in (server, self.client):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
        self.listener = Listening()
        self.protocol = ServerProtocol(state=State.OPEN, max_size=MESSAGE_BYTES_MAX)
        self.connection = SocketConnection(
            IOStream(server), self.protocol, RESPONSE, times=SocketTimes()
        )
        self._peer = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN, max_size=None)
        self._lock = asyncio.Lock()
        self.has_response = False
        self.frames: list[Frame] = []
        self.is_ended = False

    async def read(self) -> None:
        """Read and answer as clients do, until the server closes."""
        loop = asyncio.get_running_loop()
        response = b""
        while len(response) < len(RESPONSE):
            part = await loop.sock_recv(self.client, len(RESPONSE) - len(response))
            assert part
            response += part
        assert response == RESPONSE
        self.has_response = True
        while True:
            try:
                data = await loop.sock_recv(self.client, 65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self.is_ended = True
                with contextlib.suppress(OSError):
                    self.client.shutdown(socket.SHUT_WR)
                return
            self._peer.receive_data(data)
            self.frames += [f for f in self._peer.events_received() if isinstance(f, Frame)]
            await self._flush()

    async def text(self, data: bytes, *, fin: bool = True) -> None:
        """Send a text message, or its first part."""
        self._peer.send_text(data, fin=fin)
        await self._flush()

    async def binary(self, data: bytes) -> None:
        """Send a binary message."""
        self._peer.send_binary(data)
        await self._flush()

    async def more(self, data: bytes, *, fin: bool) -> None:
        """Send another part of a message."""
        self._peer.send_continuation(data, fin)
        await self._flush()

    async def leave(self, code: int) -> None:
        """Say goodbye."""
        self._peer.send_close(code)
        await self._flush()

    async def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        async with self._lock:  # one writer at a time is all that sock_sendall can
            await asyncio.get_running_loop().sock_sendall(self.client, data)

    async def _flush(self) -> None:
        data = b"".join(self._peer.data_to_send())
        try:
            await self.raw(data)
        except OSError:
            assert self._peer.state is not State.OPEN

    @property
    def close_code(self) -> int | None:
        """What the server gave as its reason."""
        closes = [frame for frame in self.frames if frame.opcode is Opcode.CLOSE]
        return struct.unpack("!H", bytes(closes[0].data[:2]))[0] if closes else None


Scenario = Callable[[Pair], Awaitable[None]]


def talk(scenario: Scenario, *, reads: bool = True, leaves: bool = True) -> Pair:
    """Run a scenario against a connection, which must have ended soon after it."""

    async def main() -> Pair:
        pair = Pair()
        serving = asyncio.create_task(pair.connection.run(pair.listener))
        reading = asyncio.create_task(pair.read()) if reads else None
        try:
            await until(lambda: pair.has_response or not reads)
            await scenario(pair)
            if leaves:
                await pair.leave(1000)
            async with asyncio.timeout(5):
                await serving
        finally:
            for task in (serving, reading):
                if task is not None:
                    await until(lambda task=task: task.done() or task.cancel())  # type: ignore[misc]  # bound
            pair.client.close()
        assert pair.listener.is_closed
        return pair

    return run_jumping(main())


def frame(first: int, payload: bytes, *, is_masked: bool = True) -> bytes:
    """Write a short frame by hand."""
    masked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    if len(payload) <= 125:
        length = struct.pack("!B", len(payload) | 0x80 * is_masked)
    else:
        length = struct.pack("!BH", 126 | 0x80 * is_masked, len(payload))
    return bytes((first,)) + length + (MASK + masked if is_masked else payload)
