"""Many calls in one request: run side by side, each key answered, whatever befalls the others."""

from collections.abc import Iterable
from typing import NamedTuple

from toto._core.failure import Failure
from toto._core.formats.format import Format
from toto._wire.constants import Mode
from toto_gateway.batch_sessions import MemberSession
from toto_gateway.dispatch.gathering import gather_answer
from toto_gateway.dispatch.pending import CallRequest
from toto_gateway.dispatch.replies import ByteBudget, CallPool, Reply

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
    answer = await gather_answer(outcome, body_format, budget)
    if isinstance(answer, Failure):
        return answer
    if answer.head.mode == Mode.RAW:
        return Failure.raw_in_batch()
    head = answer.head
    return MemberAnswer(answer.body, MemberSession(head.session, head.is_session_ended))
