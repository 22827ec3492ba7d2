"""One call's answer, as something to await: whole, or piece by piece with credit."""

import asyncio
from typing import NamedTuple, Protocol

from toto._core.failure import Failure
from toto._wire.constants import (
    RESPONSE_BYTES_MAX,
    STREAM_CHUNK_BYTES,
    STREAM_PIECE_BYTES,
    STREAM_WINDOW_BYTES,
    Mode,
)
from toto._wire.messages import Head
from toto_gateway.dispatch.pending import CallRequest, PendingCall, ReplySink

__all__ = [
    "Answer",
    "ByteBudget",
    "CallPool",
    "Piece",
    "Push",
    "Reply",
    "ReplyEvent",
    "StreamStart",
]

_NO_HEAD = Head()
OVERRUN_BYTES = STREAM_WINDOW_BYTES + STREAM_CHUNK_BYTES + STREAM_PIECE_BYTES
"""More than this without credit is sent by no worker that keeps the rules."""


class Answer(NamedTuple):
    """The end of a call: a finished document, or the end of a stream."""

    head: Head
    code: int
    """0, or the code of the error document in ``body``."""
    body: bytes


class StreamStart(NamedTuple):
    """The call streams; its pieces follow."""

    head: Head


class Piece(NamedTuple):
    """A part of a streamed item; the item ends with the piece whose ``more`` is false."""

    payload: bytes
    more: bool
    key: str = ""
    """With the first part: the method's name for the item."""

    @property
    def cost(self) -> int:
        """Bytes of the window that it took."""
        return len(self.payload) + STREAM_PIECE_BYTES


class Push(NamedTuple):
    """A part of a message to the client beside the answer; it ends as items do. Only calls that
    came over a WebSocket have any."""

    payload: bytes
    more: bool

    @property
    def cost(self) -> int:
        """Bytes of the window that it took."""
        return len(self.payload) + STREAM_PIECE_BYTES


ReplyEvent = Answer | StreamStart | Piece | Push | Failure


class CallPool(Protocol):
    """What can run calls."""

    def submit(self, request: CallRequest, sink: ReplySink) -> PendingCall:
        """Start a call."""

    def abandon(self, call: PendingCall) -> None:
        """Give a call up."""

    def credit(self, call: PendingCall, size: int) -> None:
        """Allow the worker to stream so many more bytes."""


class ByteBudget:
    """How many bytes of answers may be held in memory together.

    Args:
        limit: in bytes.
    """

    __slots__ = ("_left",)

    def __init__(self, limit: int = RESPONSE_BYTES_MAX) -> None:
        self._left = limit

    def take(self, size: int) -> bool:
        """Use some of it up; False when it was too little."""
        self._left -= size
        return self._left >= 0


class Reply:
    """Collects the events of one call for one reader.

    Use: ``start()``, then ``await next()``; if that is a ``StreamStart``, ``await next()`` again
    until something else than a ``Piece`` comes, and ``credit()`` what has been passed on.
    ``close()`` ends the call if it has not ended; it belongs in a ``finally``.
    """

    __slots__ = (
        "_budget",
        "_call",
        "_chunks",
        "_events",
        "_head",
        "_is_streaming",
        "_outstanding",
        "_pool",
        "_waiter",
    )

    def __init__(self, pool: CallPool, budget: ByteBudget | None = None) -> None:
        self._pool = pool
        self._budget = budget or ByteBudget()
        self._call: PendingCall | None = None
        # A list: an empty deque takes 0.7 KiB, and thousands of calls may be parked.
        self._events: list[ReplyEvent] = []
        self._waiter: asyncio.Future[None] | None = None
        self._chunks: list[bytes] = []
        self._outstanding = 0
        self._head = _NO_HEAD
        self._is_streaming = False

    def start(self, request: CallRequest) -> None:
        """Send the call on its way."""
        self._call = self._pool.submit(request, self)

    async def next(self) -> ReplyEvent:
        """Return the next event; an ``Answer`` or a ``Failure`` is the last.

        May be cancelled (by a timeout, say) and called again without losing anything.
        """
        while not self._events:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._events.pop(0)

    def next_piece_nowait(self) -> Piece | None:
        """Return the next event if it is there already and is a piece of a stream."""
        if self._events and isinstance(self._events[0], Piece):
            return self._events.pop(0)  # type: ignore[return-value]  # it was just looked at
        return None

    def credit(self, size: int) -> None:
        """Tell the worker that so many bytes have reached the client."""
        self._outstanding -= size
        if self._call is not None:
            self._pool.credit(self._call, size)

    def close(self) -> None:
        """Give the call up if it has not ended."""
        call = self._call
        self._forget_call()
        if call is not None:
            self._pool.abandon(call)

    # -- ReplySink

    def on_chunk(self, head: Head | None, payload: bytes, *, code: int, final: bool) -> None:
        """Gather a long answer; a stream's end passes through."""
        if head is not None:
            self._head = head
        if not self._budget.take(len(payload)):
            self._chunks.clear()
            self._give_up(Failure.response_too_large(RESPONSE_BYTES_MAX))
        elif final and not self._chunks:
            self._forget_call()
            if not self._is_streaming and self._head.mode == Mode.ITEMS and not code:
                self._put(StreamStart(self._head))
            self._put(Answer(self._head, code, payload))
        else:
            self._chunks.append(payload)
            if final:
                self._forget_call()
                self._put(Answer(self._head, code, b"".join(self._chunks)))

    def on_item(self, head: Head | None, payload: bytes, *, more: bool, key: str = "") -> None:
        """Pass a piece of a stream on."""
        if not self._is_streaming:
            self._is_streaming = True
            self._head = head or _NO_HEAD
            self._put(StreamStart(self._head))
        self._put_bounded(Piece(payload, more, key))

    def on_push(self, payload: bytes, *, more: bool) -> None:
        """Pass a piece of a message on."""
        self._put_bounded(Push(payload, more))

    def _put_bounded(self, piece: Piece | Push) -> None:
        self._outstanding += piece.cost
        if self._outstanding > OVERRUN_BYTES:
            self._give_up(Failure.stream_overrun())
        else:
            self._put(piece)

    def _give_up(self, failure: Failure) -> None:
        self._put(failure)
        self.close()

    def on_failure(self, failure: Failure) -> None:
        """The call ended without an answer."""
        self._forget_call()
        self._put(failure)

    def _forget_call(self) -> None:
        # The call knows this reply, and has the body: without a cycle both go at once, and not
        # when the garbage collector next looks at what is old.
        self._call = None

    def _put(self, event: ReplyEvent) -> None:
        self._events.append(event)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
