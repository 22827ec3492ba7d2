"""The bytes of one WebSocket: frames in and out, pings, and a goodbye that arrives.

This is the only module here that does I/O. The rules of the protocol (RFC 6455) are those of the
``websockets`` library; Tornado's own WebSockets take unmasked frames and bad close codes.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tornado.iostream import IOStream, StreamClosedError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

from toto_gateway.websocket.outbox import Outbox

__all__ = ["Listener", "SocketConnection", "SocketTimes"]

_log = logging.getLogger("toto.gateway")

READ_BYTES = 64 * 1024
FEED_BYTES = 2 * 1024
"""Given to the parser at once: as many as 300 frames, which take 3 ms [measured]."""
FRAMES_AT_ONCE = 32
"""Then others have the loop for a turn."""
DATA_OPCODES = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})


@dataclass(frozen=True, slots=True)
class SocketTimes:
    """How long things may take."""

    ping_seconds: float = 20.0
    """From one ping to the next; proxies cut connections that are silent for 60 s."""
    pong_seconds: float = 20.0
    """From a ping to its answer."""
    patience_seconds: float = 60.0
    """As long may a client take nothing of what there is for it, as with streams over HTTP."""
    message_seconds: float = 300.0
    """From the first bytes of a message to its last, as with an upload over HTTP; looked at with
    every ping."""
    close_seconds: float = 5.0
    """From our goodbye to the client's."""


class Listener(Protocol):
    """What the messages of a client are for."""

    async def open(self) -> None:
        """The socket is open; messages come when this returns."""

    async def on_message(self, body: bytes, *, is_text: bool) -> None:
        """Take a message; the next one comes when this returns."""

    def close(self) -> None:
        """No more messages come, and none can be sent; may be called twice."""

    async def wait_closed(self) -> None:
        """Return when nothing is left; after ``close``."""


class SocketConnection:
    """One WebSocket, from the answer to its handshake on. It is the ``Outlet`` of its listener.

    Args:
        stream: taken from the HTTP connection.
        protocol: in the state OPEN.
        response: the answer to the handshake.
        times: limits.
    """

    def __init__(
        self,
        stream: IOStream,
        protocol: ServerProtocol,
        response: bytes,
        *,
        times: SocketTimes,
    ) -> None:
        self._stream = stream
        self._protocol = protocol
        self._times = times
        self._outbox = Outbox(stream.write, patience_seconds=times.patience_seconds)
        self._outbox.put(response)
        self._loop = asyncio.get_running_loop()
        self._listener: Listener | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._message = bytearray()
        self._is_message_text = False
        self._is_message_open = False
        self._message_since: float | None = None
        self._is_pong_due = False
        self._has_received = False
        self._is_closing = False
        self._turns = 0

    # -- Outlet

    def put(self, document: bytes, *, is_text: bool) -> None:
        """Send a short message some time."""
        if self._protocol.state is State.OPEN:
            self._outbox.put(self._framed((document,), is_text=is_text))

    async def send(self, documents: Sequence[bytes], *, is_text: bool) -> None:
        """Send messages, and return when the kernel has taken them.

        Raises:
            ConnectionError: the client has gone.
        """
        if self._protocol.state is not State.OPEN:
            raise ConnectionResetError("the client has gone")
        await self._outbox.send(self._framed(documents, is_text=is_text))

    def close(self, code: int) -> None:
        """Say goodbye; a second time does nothing."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code)
            self._pass_on()

    # -- life

    async def run(self, listener: Listener) -> None:
        """Serve the client until it has gone; a cancelled one is told so."""
        self._listener = listener
        self._stream.set_nodelay(True)
        writer = self._loop.create_task(self._write_all())
        last_code = CloseCode.INTERNAL_ERROR
        self._start_timer("ping", self._times.ping_seconds, self._ping)
        try:
            await listener.open()
            while True:
                data = await self._stream.read_bytes(READ_BYTES, partial=True)
                for start in range(0, len(data), FEED_BYTES):
                    await self._receive(data[start : start + FEED_BYTES], listener)
        except StreamClosedError:
            _log.debug("a WebSocket's client has gone")
        except asyncio.CancelledError:
            last_code = CloseCode.GOING_AWAY
            raise
        finally:
            for timer in self._timers.values():
                timer.cancel()
            listener.close()
            self._say_last_goodbye(last_code)
            writer.cancel()
            self._stream.close()
            await asyncio.wait([writer])
            await listener.wait_closed()

    async def _write_all(self) -> None:
        try:
            await self._outbox.run()
            if not self._stream.closed():
                # To close now, with bytes unread, could take our last words from the client.
                self._stream.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            _log.debug("a WebSocket ends: %s", error)
            self._stream.close()
        except Exception:  # noqa: BLE001  # the edge: without a writer there is no socket
            _log.exception("a WebSocket could not be written to")
            self._stream.close()

    # -- what comes in

    async def _receive(self, data: bytes, listener: Listener) -> None:
        self._has_received = True
        self._protocol.receive_data(data)
        frames = self._protocol.events_received()
        self._pass_on()
        for frame in frames:
            if self._protocol.state is not State.OPEN:
                return
            if isinstance(frame, Frame):
                await self._on_frame(frame, listener)
            await self._outbox.wait_for_room()
        self._note_time_of_message(has_ended=bool(frames) and not self._is_message_open)
        self._turns += 1 + len(frames)
        if self._turns >= FRAMES_AT_ONCE:
            self._turns = 0
            await asyncio.sleep(0)

    async def _on_frame(self, frame: Frame, listener: Listener) -> None:
        if frame.opcode in DATA_OPCODES:
            message = self._assembled(frame)
            if message is None:
                return
            if self._is_message_text and not _is_text(message):
                self._fail(CloseCode.INVALID_DATA, "not UTF-8")
                return
            await listener.on_message(message, is_text=self._is_message_text)
        elif frame.opcode is Opcode.PONG:
            self._is_pong_due = False

    def _assembled(self, frame: Frame) -> bytes | None:
        """Return the message that a frame completes. The protocol limits its length."""
        self._is_message_open = not frame.fin
        if frame.opcode is not Opcode.CONT:
            self._is_message_text = frame.opcode is Opcode.TEXT
            if frame.fin:
                return bytes(frame.data)
        # Joined at once: a list of parts of one byte each would take a hundred times the memory.
        self._message += frame.data
        if not frame.fin:
            return None
        message = bytes(self._message)
        self._message.clear()
        return message

    def _note_time_of_message(self, *, has_ended: bool) -> None:
        if not self._is_message_open and not self._protocol.reader.buffer:
            self._message_since = None
        elif has_ended or self._message_since is None:
            self._message_since = self._loop.time()

    # -- what goes out

    def _framed(self, documents: Sequence[bytes], *, is_text: bool) -> bytes:
        send = self._protocol.send_text if is_text else self._protocol.send_binary
        for document in documents:
            send(document)
        return b"".join(self._protocol.data_to_send())

    def _pass_on(self) -> None:
        """Write what the protocol has to say of its own, and close when it wants to."""
        chunks = self._protocol.data_to_send()
        data = b"".join(chunks)
        if data:
            self._outbox.put(data)
        if SEND_EOF in chunks:
            self._outbox.end()
        if self._protocol.state is not State.OPEN and not self._is_closing:
            self._is_closing = True
            if self._listener is not None:
                self._listener.close()
            self._start_timer("close", self._times.close_seconds, self._stream.close)

    def _fail(self, code: CloseCode, reason: str) -> None:
        self._protocol.fail(code, reason)
        self._pass_on()

    def _say_last_goodbye(self, code: CloseCode) -> None:
        if self._protocol.state is State.OPEN and not self._stream.closed():
            self._protocol.send_close(code)
            if self._outbox.is_idle:  # or it would stand in the middle of a frame
                self._stream.write(b"".join(self._protocol.data_to_send()))

    # -- pings

    def _start_timer(self, name: str, seconds: float, callback: Callable[[], None]) -> None:
        self._timers[name] = self._loop.call_later(seconds, callback)

    def _ping(self) -> None:
        if self._protocol.state is not State.OPEN:
            return
        since = self._message_since
        if since is not None and self._loop.time() - since > self._times.message_seconds:
            self._fail(CloseCode.POLICY_VIOLATION, "the message takes too long")
            return
        # Behind much else it would come late; and whoever takes that is there.
        if self._outbox.is_idle and not self._is_pong_due:
            self._protocol.send_ping(b"")
            self._pass_on()
            self._is_pong_due = True
            self._has_received = False
            self._start_timer("pong", self._times.pong_seconds, self._check_pong)
        self._start_timer("ping", self._times.ping_seconds, self._ping)

    def _check_pong(self) -> None:
        if not self._is_pong_due or self._protocol.state is not State.OPEN:
            return
        # In the middle of a long message the client cannot answer.
        is_sending = self._has_received and bool(self._protocol.reader.buffer)
        if is_sending or not self._outbox.is_idle:
            self._has_received = False
            self._start_timer("pong", self._times.pong_seconds, self._check_pong)
        else:
            self._fail(CloseCode.INTERNAL_ERROR, "no pong")


def _is_text(message: bytes) -> bool:
    if message.isascii():
        return True
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True
