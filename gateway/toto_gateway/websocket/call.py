"""One call of a socket, from its admission to its last message. No I/O of its own."""

import logging
import time

from toto._core.failure import Failure
from toto._wire.constants import STREAM_WINDOW_BYTES, Mode
from toto._wire.messages import Head
from toto_gateway.authentication import Caller
from toto_gateway.calls import Calls
from toto_gateway.decoding import BatchCall, SingleCall
from toto_gateway.dispatch.replies import Answer, Piece, Push, Reply, StreamStart
from toto_gateway.request import Request
from toto_gateway.websocket.flow import CallFailed, ItemCredit, Parcel
from toto_gateway.websocket.messages import ServerMessages
from toto_gateway.websocket.outlet import Outlet
from toto_gateway.websocket.session import SocketSession

__all__ = ["SocketCall"]

_log = logging.getLogger("toto.gateway")

CLIENT_GONE = 499
"""In the access log: the client left, or ended the call, as with HTTP."""
WRITE_BYTES = 64 * 1024
"""Small items that are there already leave together, up to this size."""


class SocketCall:
    """One call, or one batch.

    Args:
        calls: runs it.
        session: whose socket it is.
        outlet: to the client.
        messages: words its messages.
        request: the request that it stands for.
        call: what to run.
        credit: items of a stream that the client takes.
    """

    def __init__(
        self,
        calls: Calls,
        session: SocketSession,
        outlet: Outlet,
        messages: ServerMessages,
        request: Request,
        call: SingleCall | BatchCall,
        credit: ItemCredit,
    ) -> None:
        self._calls = calls
        self._session = session
        self._outlet = outlet
        self.messages = messages
        self._request = request
        self._call = call
        self.credit = credit
        self._known = session.known
        self._settled: Head | None = None
        self._uncredited = 0
        self.started_at = time.perf_counter()
        self.is_answered = False
        """Its last message is on its way: nobody can end it any more."""
        self.code = CLIENT_GONE
        """How it ended: 0, or the code of the error."""

    async def run(self) -> None:
        """Run it, and tell the client all about it."""
        try:
            last = await self._last_message()
            self.is_answered = True
            await self._send(last)
        except ConnectionError:
            _log.debug("the client has gone")

    async def _last_message(self) -> bytes:
        try:
            if isinstance(self._call, BatchCall):
                return await self._run_batch(self._call)
            return await self._run_single(self._call)
        except CallFailed as error:
            return self._failed(error.failure)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001  # the edge: every call gets an answer
            _log.exception("a call over %s failed", self._request.path)
            return self._failed(Failure.server_error(self._request.request_id))

    async def _run_single(self, call: SingleCall) -> bytes:
        caller = await self._calls.admission.admit_known(self._request, call, self._known)
        if isinstance(caller, Failure):
            return self._failed(caller)
        reply = Reply(self._calls.pool)
        try:
            reply.start(self._calls.request_for(self._request, call, caller, is_socket=True))
            return await self._follow(reply, caller, call)
        finally:
            reply.close()

    async def _run_batch(self, batch: BatchCall) -> bytes:
        caller = await self._calls.admission.reload(self._known)
        answer = await self._calls.run_batch(self._request, batch, caller=caller)
        self._session.settle(self._known, answer.caller, answer.session, is_ended=answer.is_ended)
        self.code = 0
        return self.messages.answer(answer.document)

    # -- what the worker sends

    async def _follow(self, reply: Reply, caller: Caller, call: SingleCall) -> bytes:
        """Pass on what comes before the end, and return the last message."""
        items, pushes = Parcel(), Parcel()
        is_streaming = False
        while True:
            event = await reply.next()
            if isinstance(event, Piece):
                await self._pass_items(reply, items, event)
            elif isinstance(event, Push):
                message = pushes.add(event)
                if message is not None:
                    await self._send(message)
                self._give_back(reply, event.cost)
            elif isinstance(event, StreamStart):
                is_streaming = True
                self._settle(caller, event.head)
                if event.head.mode == Mode.RAW:
                    return self._failed(Failure.raw_in_batch())
            elif isinstance(event, Answer):
                self._settle(caller, event.head)
                return self._answered(event, call, is_streaming=is_streaming)
            else:
                return self._failed(event)

    async def _pass_items(self, reply: Reply, items: Parcel, first: Piece) -> None:
        """Pass on an item, or a part, and what else is there already and may go with it."""
        documents: list[bytes] = []
        size = 0
        piece: Piece | None = first
        while piece is not None:
            size += piece.cost
            payload = items.add(piece)
            if payload is not None:
                await self.credit.take()
                documents.append(self.messages.item(payload, items.key))
            may_follow = size < WRITE_BYTES and not self.credit.is_used_up
            piece = reply.next_piece_nowait() if may_follow else None
        if documents:
            await self._outlet.send(documents, is_text=self.messages.is_text)
        self._give_back(reply, size)

    def _give_back(self, reply: Reply, size: int) -> None:
        self._uncredited += size
        if self._uncredited >= STREAM_WINDOW_BYTES // 2:
            reply.credit(self._uncredited)
            self._uncredited = 0

    def _settle(self, caller: Caller, head: Head) -> None:
        if head is not self._settled:  # that of a stream comes again with its end
            self._settled = head
            self._session.settle(self._known, caller, head.session, is_ended=head.is_session_ended)

    # -- last messages

    def _answered(self, answer: Answer, call: SingleCall, *, is_streaming: bool) -> bytes:
        head = answer.head
        if head.mode == Mode.RAW or head.content_type not in ("", call.body_format.content_type):
            # Bytes of another type have no place among messages, as they have none in a batch.
            return self._failed(Failure.raw_in_batch())
        self.code = answer.code
        if is_streaming and not answer.code:
            return self.messages.end(head.session)
        return self.messages.answer(answer.body)

    def _failed(self, failure: Failure) -> bytes:
        self.code = failure.code
        return self.messages.failure(failure, self._request.request_id)

    async def _send(self, document: bytes) -> None:
        await self._outlet.send((document,), is_text=self.messages.is_text)
