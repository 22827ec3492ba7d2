"""Many calls in one request: run side by side, each key answered, whatever befalls the others."""

from collections.abc import Iterable
from typing import NamedTuple

from toto._core.failure import Failure
from toto._core.formats.format import Format
from toto._wire.constants import RESPONSE_BYTES_MAX, STREAM_WINDOW_BYTES, Mode
from toto_gateway.batch_sessions import MemberSession
from toto_gateway.dispatch.pending import CallRequest
from toto_gateway.dispatch.replies import Answer, ByteBudget, CallPool, Piece, Reply

__all__ = ["MemberAnswer", "run_batch"]


class MemberAnswer(NamedTuple):
    """How one member ended: its envelope, and what it did to the session."""

    document: bytes
    session: MemberSession = MemberSession()


async def run_batch(
    pool: CallPool,
    members: Iterable[tuple[str, CallRequest | Failure]],
    *,
    body_format: Format,
    request_id: str,
) -> dict[str, MemberAnswer]:
    """Run the members and return how each ended.

    Args:
        pool: runs the calls.
        members: a call, or the reason why there is none, by key.
        body_format: the format of all envelopes.
        request_id: stands in the errors of the system.

    All answers together may be as large as one; the members beyond that get an error.
    """
    budget = ByteBudget()
    started: list[tuple[str, Reply | Failure]] = []
    try:
        for key, member in members:
            if isinstance(member, Failure):
                started.append((key, member))
                continue
            reply = Reply(pool, budget)
            started.append((key, reply))
            reply.start(member)
        answers: dict[str, MemberAnswer] = {}
        for key, outcome in started:
            answer = await _answer_of(outcome, body_format, budget)
            if isinstance(answer, Failure):
                answer = MemberAnswer(body_format.error(answer.as_error(request_id)))
            answers[key] = answer
        return answers
    finally:
        for _, outcome in started:
            if isinstance(outcome, Reply):
                outcome.close()


async def _answer_of(
    outcome: Reply | Failure, body_format: Format, budget: ByteBudget
) -> MemberAnswer | Failure:
    if isinstance(outcome, Failure):
        return outcome
    return await _envelope_of(outcome, body_format, budget)


async def _envelope_of(
    reply: Reply, body_format: Format, budget: ByteBudget
) -> MemberAnswer | Failure:
    event = await reply.next()
    if isinstance(event, Failure):
        return event
    if isinstance(event, Answer):
        if event.head.mode == Mode.RAW:
            return Failure.raw_in_batch()
        return _member_answer(event, event.body)
    if event.head.mode == Mode.RAW:  # type: ignore[union-attr]  # a stream begins with its start
        return Failure.raw_in_batch()
    return await _gather_items(reply, body_format, budget)


async def _gather_items(
    reply: Reply, body_format: Format, budget: ByteBudget
) -> MemberAnswer | Failure:
    """Return the envelope whose result is the list of a generator's items."""
    items: list[bytes] = []
    parts: list[bytes] = []
    uncredited = 0
    while isinstance(event := await reply.next(), Piece):
        parts.append(event.payload)
        uncredited += event.cost
        if not budget.take(event.cost):
            return Failure.response_too_large(RESPONSE_BYTES_MAX)
        if not event.more:
            items.append(b"".join(parts))
            parts.clear()
        if uncredited >= STREAM_WINDOW_BYTES // 2:
            reply.credit(uncredited)
            uncredited = 0
    if isinstance(event, Answer):
        return _member_answer(event, event.body if event.code else body_format.join_list(items))
    if isinstance(event, Failure):
        return event
    raise TypeError("a stream begins twice")


def _member_answer(answer: Answer, document: bytes) -> MemberAnswer:
    head = answer.head
    return MemberAnswer(document, MemberSession(head.session, head.is_session_ended))
