"""Calls that methods make of other methods, from the worker's question to the reply to it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from toto._core.failure import Failure
from toto._core.formats.format import Format
from toto._wire.codec import ProtocolError
from toto._wire.constants import BODY_CHUNK_BYTES, NESTING_MAX, RESPONSE_BYTES_MAX, Mode
from toto._wire.messages import Ask, AskPart, Message, Reply, SessionInfo, Withdraw
from toto_gateway.dispatch.gathering import gather_answer
from toto_gateway.dispatch.link import Link
from toto_gateway.dispatch.pending import CallRequest, PendingCall
from toto_gateway.dispatch.replies import Answer, ByteBudget, CallPool
from toto_gateway.dispatch.replies import Reply as PoolReply
from toto_gateway.dispatch.workers import WorkerView

__all__ = ["NestedCalls", "NestingPool", "RefusalOf"]

_log = logging.getLogger("toto.dispatch")

NESTED_AT_ONCE_MAX = 100
"""Calls that one method may wait for at once, as the members of a batch."""

PARAMETERS_BYTES_MAX = 4 * RESPONSE_BYTES_MAX
"""Of all calls that methods have under way, together; more is an overload."""

RefusalOf = Callable[[SessionInfo, int], Failure | None]
"""Tells why a method of that policy may not be called with that session, or None."""


class NestingPool(CallPool, Protocol):
    """What runs the calls, and sends to workers."""

    def policy_of(self, method: str) -> int:
        """Return what a method asks of the gateway."""

    def send(self, link: Link, message: Message, payload: bytes) -> bool:
        """Send to a worker; False when it cannot be reached."""

    def remaining_seconds(self, call: PendingCall) -> float | None:
        """Return what is left of a call's time; None when it has no limit any more."""


@dataclass(slots=True, eq=False)
class _NestedCall:
    ask: Ask
    link: Link
    parent: PendingCall
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0
    task: asyncio.Task[None] | None = None
    reply: PoolReply | None = None


class NestedCalls:
    """Keeps the questions of methods until they are answered or not wanted any more.

    Args:
        pool: runs the calls.
        body_format: the format in which methods call each other.
        refusal_of: holds a question against the policy of the method it is for.
        timeout_seconds: for calls of methods that have no deadline themselves any more, because
            their answer has begun to stream.
    """

    def __init__(
        self,
        pool: NestingPool,
        body_format: Format,
        refusal_of: RefusalOf,
        *,
        timeout_seconds: float,
    ) -> None:
        self._pool = pool
        self._format = body_format
        self._refusal_of = refusal_of
        self._timeout_seconds = timeout_seconds
        self._by_ask: dict[tuple[int, int], _NestedCall] = {}
        self._by_parent: dict[int, set[_NestedCall]] = {}
        self._bytes = 0

    def on_message(
        self, worker: WorkerView, message: Ask | AskPart | Withdraw, payload: bytes
    ) -> None:
        """Take in what a worker says.

        Raises:
            ProtocolError: it breaks the rules.
        """
        if isinstance(message, Ask):
            self._on_ask(worker, message, payload)
            return
        nested = self._by_ask.get((worker.link.epoch, message.ask))
        if nested is None:
            return  # it was refused, or its caller has ended
        if isinstance(message, Withdraw):
            self._drop(nested)
        else:
            self._add(nested, payload)

    def parent_ended(self, call: PendingCall) -> None:
        """A call has ended: what its method asked for is not wanted any more."""
        for nested in list(self._by_parent.get(call.call_id, ())):
            self._drop(nested)

    def close(self) -> None:
        """Give everything up; may be called twice."""
        for nested in list(self._by_ask.values()):
            self._drop(nested)

    # -- inside

    def _on_ask(self, worker: WorkerView, ask: Ask, payload: bytes) -> None:
        parent = worker.calls.get(ask.call)
        if parent is None or parent.attempt != ask.attempt or parent.is_ended:
            self._refuse(worker.link, ask, Failure.caller_ended())
            return
        if (worker.link.epoch, ask.ask) in self._by_ask:
            raise ProtocolError("a question is asked twice")
        failure = self._reason_against(ask, parent)
        if failure is not None:
            self._refuse(worker.link, ask, failure)
            return
        nested = _NestedCall(ask, worker.link, parent)
        self._by_ask[worker.link.epoch, ask.ask] = nested
        self._bytes += ask.size
        self._by_parent.setdefault(parent.call_id, set()).add(nested)
        self._add(nested, payload)

    def _reason_against(self, ask: Ask, parent: PendingCall) -> Failure | None:
        if ask.size > RESPONSE_BYTES_MAX:
            return Failure.too_large(RESPONSE_BYTES_MAX)
        if parent.depth >= NESTING_MAX:
            return Failure.nested_too_deep(NESTING_MAX)
        if len(self._by_parent.get(parent.call_id, ())) >= NESTED_AT_ONCE_MAX:
            return Failure.overloaded()
        if self._bytes + ask.size > PARAMETERS_BYTES_MAX:
            return Failure.overloaded()
        return self._refusal_of(ask.session, self._pool.policy_of(ask.method))

    def _add(self, nested: _NestedCall, payload: bytes) -> None:
        nested.chunks.append(payload)
        nested.size += len(payload)
        if nested.size > nested.ask.size:
            self._drop(nested)
            raise ProtocolError("more body than announced")
        if nested.size == nested.ask.size and nested.task is None:
            nested.task = asyncio.get_running_loop().create_task(self._run(nested))

    async def _run(self, nested: _NestedCall) -> None:
        ask, parent = nested.ask, nested.parent
        budget = ByteBudget()
        reply = nested.reply = PoolReply(self._pool, budget)
        try:
            reply.start(self._request_of(nested))
            outcome = await gather_answer(reply, self._format, budget)
            if isinstance(outcome, Answer) and outcome.head.mode == Mode.RAW:
                outcome = Failure.raw_in_call(ask.method)
            if isinstance(outcome, Failure):
                self._refuse(nested.link, ask, outcome)
            else:
                self._send_answer(nested, outcome)
        except Exception:  # noqa: BLE001  # the edge: whoever asks gets an answer
            _log.exception("a call of %s by another method failed", ask.method)
            failure = Failure.server_error(parent.request.info.request_id)
            self._refuse(nested.link, ask, failure)
        finally:
            reply.close()
            self._forget(nested)

    def _request_of(self, nested: _NestedCall) -> CallRequest:
        ask, parent = nested.ask, nested.parent
        info = parent.request.info._replace(
            verb="POST",
            content_type=self._format.content_type,
            body_format=self._format.name,
            batch_key=None,
            session=ask.session,
            is_nested=True,
        )
        remaining = self._pool.remaining_seconds(parent)
        timeout_seconds = self._timeout_seconds if remaining is None else remaining
        body = b"".join(nested.chunks)
        nested.chunks.clear()
        in_batch = parent.request.in_batch
        return CallRequest(ask.method, body, info, timeout_seconds, in_batch, parent)

    def _send_answer(self, nested: _NestedCall, answer: Answer) -> None:
        document, head = answer.body, answer.head
        last = max(0, (len(document) - 1) // BODY_CHUNK_BYTES * BODY_CHUNK_BYTES)
        part = Reply(nested.ask.ask, False, 0, None, False)
        for start in range(0, last, BODY_CHUNK_BYTES):
            self._pool.send(nested.link, part, document[start : start + BODY_CHUNK_BYTES])
        end = Reply(nested.ask.ask, True, answer.code, head.session, head.is_session_ended)
        self._pool.send(nested.link, end, document[last:])

    def _refuse(self, link: Link, ask: Ask, failure: Failure) -> None:
        document = self._format.error(failure.as_error(""))
        self._pool.send(link, Reply(ask.ask, True, failure.code, None, False), document)

    def _drop(self, nested: _NestedCall) -> None:
        self._forget(nested)
        if nested.reply is not None:
            # At once: the task learns of its end a turn later.
            nested.reply.close()
        if nested.task is not None:
            nested.task.cancel()

    def _forget(self, nested: _NestedCall) -> None:
        if self._by_ask.pop((nested.link.epoch, nested.ask.ask), None) is not None:
            self._bytes -= nested.ask.size
        siblings = self._by_parent.get(nested.parent.call_id)
        if siblings is not None:
            siblings.discard(nested)
            if not siblings:
                del self._by_parent[nested.parent.call_id]
