"""The gateway of a test's call: hands it to the worker, and answers what its method asks for."""

import asyncio
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from toto._core.failure import Failure
from toto._core.formats.registry import FormatRegistry
from toto._core.stores.record import unpack
from toto._wire.codec import ProtocolError, decode, encode
from toto._wire.constants import NESTING_MAX, STREAM_PIECE_BYTES, STREAM_WINDOW_BYTES, Lane, Policy
from toto._wire.messages import (
    Ask,
    AskPart,
    Call,
    Cancel,
    Credit,
    Item,
    Message,
    Reply,
    RequestInfo,
    Result,
    SessionInfo,
    Welcome,
    Withdraw,
)
from toto_worker.calls import CallDesk
from toto_worker.methods import Method
from toto_worker.testing.local_link import LocalLink
from toto_worker.testing.outcome import Gathered, Outcome

__all__ = ["ENDING_SECONDS", "LocalGateway"]

EPOCH = 1
ENDING_SECONDS = 1.0
"""What a method may take to end after its answer was given up."""


@dataclass(slots=True, eq=False)
class _OpenCall:
    message: Call
    deadline: float
    parent: int
    depth: int
    answered: asyncio.Future[Outcome]
    """Settled by the whole answer."""
    ended: asyncio.Future[None]
    """Settled when the method has returned, too."""
    gathered: Gathered = field(default_factory=Gathered)


@dataclass(slots=True, eq=False)
class _Question:
    ask: Ask
    body: bytearray
    nested: int = 0
    task: asyncio.Task[None] | None = None


class LocalGateway:
    """Runs in the event loop of the test's worker.

    Args:
        desk: the worker's calls.
        methods: what may be called.
        formats: how answers are encoded.
    """

    def __init__(
        self, desk: CallDesk, methods: Mapping[str, Method], formats: FormatRegistry
    ) -> None:
        self._desk = desk
        self._methods = methods
        self._formats = formats
        self._loop = asyncio.get_running_loop()
        self._link = LocalLink(self._on_message)
        self._numbers = itertools.count(1)
        self._open: dict[int, _OpenCall] = {}
        self._questions: dict[int, _Question] = {}

    async def call(
        self, method: str, body: bytes, info: RequestInfo, timeout_seconds: float
    ) -> Outcome:
        """Run a call to its end, and to the end of its method."""
        body_format = self._formats.by_name(info.body_format) or self._formats.json
        failure = self._refusal(method, info.session)
        if failure is not None:
            return Gathered().failed(failure, body_format, info.request_id)
        self._deliver(Welcome((), STREAM_WINDOW_BYTES))
        opened = self._start(method, body, info, time.monotonic() + timeout_seconds)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await opened.answered
        except TimeoutError:
            self._cancel(opened.message.call)
            return opened.gathered.failed(Failure.deadline(), body_format, info.request_id)
        finally:
            await asyncio.wait([opened.ended], timeout=ENDING_SECONDS)

    def _refusal(self, method: str, session: SessionInfo) -> Failure | None:
        """Tell why a gateway would not trouble a worker with the call, or None."""
        known = self._methods.get(method)
        policy = Policy.NONE if known is None else known.traits.policy
        # An id in the parameters is looked up by the decorator.
        if not policy & Policy.USER or policy & Policy.PARAMETER:
            return None
        is_user = session.packed and unpack(session.packed, session.session_id).user_id
        return None if is_user else Failure.not_authorized()

    # -- to the worker

    def _start(
        self, method: str, body: bytes, info: RequestInfo, deadline: float, parent: int = 0
    ) -> _OpenCall:
        known = self._methods.get(method)
        message = Call(
            call=next(self._numbers),
            attempt=1,
            method=method,
            lane=Lane.THREAD if known is None else known.kind.lane,
            deadline_milliseconds=max(0, int((deadline - time.monotonic()) * 1000)),
            ticket=0,
            size=len(body),
            request=info,
            is_extra=bool(parent),
        )
        depth = self._open[parent].depth + 1 if parent else 0
        futures = self._loop.create_future(), self._loop.create_future()
        opened = _OpenCall(message, deadline, parent, depth, *futures)
        self._open[message.call] = opened
        self._deliver(message, body)
        return opened

    def _deliver(self, message: Message, payload: bytes = b"") -> None:
        header = encode(message, EPOCH)
        try:
            decode(header)
        except ProtocolError as error:
            raise ValueError(f"no gateway sends such a request: {error}") from error
        self._desk.on_frames(self._link, [header, payload])

    def _deliver_soon(self, message: Message, payload: bytes = b"") -> None:
        # The worker is in the midst of telling us something.
        self._loop.call_soon(self._deliver, message, payload)

    def _cancel(self, number: int) -> None:
        opened = self._open.get(number)
        if opened is not None:
            self._deliver_soon(Cancel(number, opened.message.attempt, False))
            self._cancel_below(number)

    def _cancel_below(self, number: int) -> None:
        for below, opened in list(self._open.items()):
            if opened.parent == number:
                self._cancel(below)

    # -- from the worker

    def _on_message(self, message: Message, payload: bytes) -> None:
        match message:
            case Item() if message.call in self._open:
                self._open[message.call].gathered.add_item(message, payload)
                size = len(payload) + STREAM_PIECE_BYTES
                self._deliver_soon(Credit(message.call, message.attempt, size))
            case Result() if message.call in self._open:
                self._on_result(self._open[message.call], message, payload)
            case Ask():
                self._questions[message.ask] = _Question(message, bytearray())
                self._on_question(message.ask, payload)
            case AskPart():
                self._on_question(message.ask, payload)
            case Withdraw() if message.ask in self._questions:
                self._cancel(self._questions[message.ask].nested)
            case _:
                pass
        self._note_ended()

    def _on_result(self, opened: _OpenCall, message: Result, payload: bytes) -> None:
        outcome = opened.gathered.add_result(message, payload)
        if outcome is None:
            return
        if not opened.answered.done():
            opened.answered.set_result(outcome)
        self._cancel_below(message.call)

    def _note_ended(self) -> None:
        """A call is through when it was answered and the worker does not list it any more."""
        for number, opened in list(self._open.items()):
            if opened.answered.done() and number not in self._link.calls:
                del self._open[number]
                if not opened.ended.done():
                    opened.ended.set_result(None)

    # -- calls by methods

    def _on_question(self, number: int, payload: bytes) -> None:
        question = self._questions[number]
        question.body += payload
        if len(question.body) == question.ask.size:
            question.task = self._loop.create_task(self._answer(question))

    async def _answer(self, question: _Question) -> None:
        ask = question.ask
        parent = self._open.get(ask.call)
        try:
            outcome = await self._run_nested(question, parent)
        except Exception as error:  # noqa: BLE001  # the test gets it
            # The method cannot even be looked up: the test is told, not the method that asks.
            if parent is not None and not parent.answered.done():
                parent.answered.set_exception(error)
            return
        finally:
            del self._questions[ask.ask]
        head = outcome.head
        reply = Reply(ask.ask, True, outcome.code, head.session, head.is_session_ended)
        self._deliver(reply, outcome.document)

    async def _run_nested(self, question: _Question, parent: _OpenCall | None) -> Outcome:
        ask, msgpack = question.ask, self._formats.msgpack
        if parent is None:
            return Gathered().failed(Failure.caller_ended(), msgpack, "")
        if parent.depth >= NESTING_MAX:
            return Gathered().failed(Failure.nested_too_deep(NESTING_MAX), msgpack, "")
        failure = self._refusal(ask.method, ask.session)
        if failure is not None:
            return Gathered().failed(failure, msgpack, "")
        info = parent.message.request._replace(
            verb="POST",
            content_type=msgpack.content_type,
            body_format=msgpack.name,
            batch_key=None,
            session=ask.session,
            is_nested=True,
        )
        opened = self._start(
            ask.method, bytes(question.body), info, parent.deadline, parent.message.call
        )
        question.nested = opened.message.call
        outcome = await opened.answered
        if outcome.code == 0 and outcome.is_raw:
            return Gathered().failed(Failure.raw_in_call(ask.method), msgpack, "")
        if outcome.code == 0 and outcome.items is not None:
            document = msgpack.join_list(outcome.items)
            return Outcome(0, outcome.head, document)
        return outcome
