"""The open questions of a worker's methods. Runs in the transport thread."""

import itertools
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from toto._wire.codec import ProtocolError
from toto._wire.constants import BODY_CHUNK_BYTES
from toto._wire.messages import Ask, AskPart, Reply, SessionAnswer, SessionInfo, Withdraw
from toto_worker.call import WorkerCall

if TYPE_CHECKING:
    from toto_worker.ports import LinkPort

__all__ = ["AskAnswer", "AskFuture", "AskRequest", "AskTable"]


class AskRequest(NamedTuple):
    """What a method asks for."""

    method: str
    body: bytes
    session: SessionInfo


class AskAnswer(NamedTuple):
    """What became of it."""

    code: int
    """0, or the error code of the document."""
    document: bytes
    session: SessionAnswer | None
    is_session_ended: bool


AskFuture = Future[AskAnswer]


@dataclass(slots=True)
class _OpenAsk:
    call: WorkerCall
    future: AskFuture
    chunks: list[bytes] = field(default_factory=list)


class AskTable:
    """Sends questions to gateways and settles their futures."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._open: dict[int, _OpenAsk] = {}
        self._number_of: dict[int, int] = {}

    def send(self, call: WorkerCall, request: AskRequest, future: AskFuture) -> None:
        """Ask the gateway that the call came from."""
        link = call.link
        if future.cancelled():
            return
        is_open = link.calls.get(call.message.call) is call
        if call.is_cancelled or not link.is_live or not is_open:
            future.cancel()
            return
        number = next(self._numbers)
        self._open[number] = _OpenAsk(call, future)
        self._number_of[id(future)] = number
        body, message = request.body, call.message
        ask = Ask(number, message.call, message.attempt, request.method, len(body), request.session)
        link.send(ask, body[:BODY_CHUNK_BYTES])
        for start in range(BODY_CHUNK_BYTES, len(body), BODY_CHUNK_BYTES):
            link.send(AskPart(number), body[start : start + BODY_CHUNK_BYTES])

    def withdraw(self, future: AskFuture) -> None:
        """The method does not wait any more."""
        number = self._number_of.pop(id(future), None)
        if number is None:
            return
        call = self._open.pop(number).call
        if call.link.is_live and call.link.epoch == call.epoch:
            call.link.send(Withdraw(number))

    def on_reply(self, link: "LinkPort", message: Reply, payload: bytes) -> None:
        """Take in an answer, or a part of one; one that nobody waits for any more is dropped.

        Raises:
            ProtocolError: it answers another gateway's question.
        """
        asked = self._open.get(message.ask)
        if asked is None:
            return
        if asked.call.link is not link:
            raise ProtocolError("an answer to a question of another gateway's call")
        asked.chunks.append(payload)
        if not message.final:
            return
        self._forget(message.ask)
        document = b"".join(asked.chunks)
        answer = AskAnswer(message.code, document, message.session, message.is_session_ended)
        if asked.future.set_running_or_notify_cancel():
            asked.future.set_result(answer)

    def call_ended(self, call: WorkerCall) -> None:
        """The gateway drops what an ended call has asked for, so no answer to that will come."""
        for number, asked in list(self._open.items()) if self._open else ():
            if asked.call is call:
                self._forget(number)
                asked.future.cancel()

    def link_down(self, link: "LinkPort") -> None:
        """A gateway is gone, and with it the calls whose methods asked it."""
        for number, asked in list(self._open.items()):
            if asked.call.link is link:
                self._forget(number)
                asked.future.cancel()

    def _forget(self, number: int) -> None:
        asked = self._open.pop(number)
        self._number_of.pop(id(asked.future), None)
