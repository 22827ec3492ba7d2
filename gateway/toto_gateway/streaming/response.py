"""Passes a stream on to the client, no faster than the client reads."""

import asyncio

from toto._core.failure import Failure
from toto._core.formats.format import Format
from toto._wire.constants import STREAM_WINDOW_BYTES
from toto_gateway.dispatch.replies import Answer, Piece, Reply, ReplyEvent
from toto_gateway.request import Responder
from toto_gateway.streaming.framing import Framing, RawFraming

__all__ = ["StreamWriter"]

PING_SECONDS = 15.0
"""Proxies cut connections that are silent for 60 s."""
PATIENCE_SECONDS = 60.0
"""A client that reads nothing for so long is cut off: its generator holds a worker's slot."""
WRITE_BYTES = 64 * 1024
"""Small pieces that are there already are written together, up to this size."""


class StreamWriter:
    """Writes one stream.

    Credit goes back to the worker when the kernel has taken the bytes, in steps of half a window,
    so a slow client stops the generator and memory stays bounded by the window.

    Args:
        reply: the call, which has said that it streams.
        responder: the response, already begun.
        framing: what items look like.
        body_format: encodes an error of the gateway's own.
        request_id: stands in such an error.
        patience_seconds: how long a client may take none of what there is for it.
        ping_seconds: silence after which the framing's ping is sent, if it has one.
    """

    def __init__(
        self,
        reply: Reply,
        responder: Responder,
        framing: Framing,
        *,
        body_format: Format,
        request_id: str,
        ping_seconds: float = PING_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._patience_seconds = patience_seconds
        self._ping_seconds = ping_seconds
        self._reply = reply
        self._responder = responder
        self._framing = framing
        self._format = body_format
        self._request_id = request_id
        self._uncredited = 0
        self._in_item = False

    async def run(self) -> None:
        """Write until the stream has ended.

        Raises:
            ConnectionError: when the client has gone.
        """
        while True:
            event = await self._next()
            if isinstance(event, Piece):
                await self._write_pieces(event)
                continue
            await self._finish(event)
            return

    async def _next(self) -> ReplyEvent:
        while True:
            try:
                async with asyncio.timeout(self._ping_seconds if self._framing.ping else None):
                    return await self._reply.next()
            except TimeoutError:
                if not self._in_item:
                    await self._write(self._framing.ping)

    async def _write_pieces(self, first: Piece) -> None:
        chunks, size = [self._frame(first)], first.cost
        while size < WRITE_BYTES and (piece := self._reply.next_piece_nowait()) is not None:
            chunks.append(self._frame(piece))
            size += piece.cost
        await self._write(b"".join(chunks))
        self._uncredited += size
        if self._uncredited >= STREAM_WINDOW_BYTES // 2:
            self._reply.credit(self._uncredited)
            self._uncredited = 0

    def _frame(self, piece: Piece) -> bytes:
        begins, self._in_item = not self._in_item, piece.more
        ends, key = not piece.more, piece.key
        return self._framing.piece(piece.payload, begins=begins, ends=ends, key=key)

    async def _finish(self, event: ReplyEvent) -> None:
        if isinstance(event, Answer) and not event.code:
            document = self._format.end()
            if event.head.session is not None:
                session = self._format.encode_item(event.head.session.as_object())
                document = self._format.with_session(document, session)
            last = self._framing.end(document)
        elif isinstance(self._framing, RawFraming) or self._in_item:
            self._responder.abort()
            return
        else:
            last = self._framing.error(self._error_document(event))
        if last:
            await self._write(last)
        self._responder.finish()

    async def _write(self, chunk: bytes) -> None:
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._responder.write(chunk)
        except TimeoutError:
            self._responder.abort()
            raise ConnectionAbortedError("the client has stopped reading") from None

    def _error_document(self, event: ReplyEvent) -> bytes:
        if isinstance(event, Answer):
            return event.body
        failure = event if isinstance(event, Failure) else Failure.server_error(self._request_id)
        return self._format.error(failure.as_error(self._request_id))
