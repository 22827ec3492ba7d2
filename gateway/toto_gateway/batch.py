"""Many calls in one request: run side by side, each key answered, whatever befalls the others."""

from collections.abc import Iterable

from toto._core.failure import Failure
from toto._core.formats.format import Format
from toto._wire.constants import RESPONSE_BYTES_MAX, STREAM_WINDOW_BYTES, Mode
from toto_gateway.dispatch.pending import CallRequest
from toto_gateway.dispatch.replies import Answer, ByteBudget, CallPool, Piece, Reply

__all__ = ["run_batch"]


async def run_batch(
    pool: CallPool,
    members: Iterable[tuple[str, CallRequest | Failure]],
    *,
    body_format: Format,
    request_id: str,
) -> bytes:
    """Run the members and return the finished batch envelope.

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
        envelopes: list[tuple[str, bytes]] = []
        for key, outcome in started:
            document = await _document_of(outcome, body_format, budget)
            if isinstance(document, Failure):
                document = body_format.error(document.as_error(request_id))
            envelopes.append((key, document))
        return body_format.join_batch(envelopes)
    finally:
        for _, outcome in started:
            if isinstance(outcome, Reply):
                outcome.close()


async def _document_of(
    outcome: Reply | Failure, body_format: Format, budget: ByteBudget
) -> bytes | Failure:
    if isinstance(outcome, Failure):
        return outcome
    return await _envelope_of(outcome, body_format, budget)


async def _envelope_of(reply: Reply, body_format: Format, budget: ByteBudget) -> bytes | Failure:
    event = await reply.next()
    if isinstance(event, Failure):
        return event
    if isinstance(event, Answer):
        return Failure.raw_in_batch() if event.head.mode == Mode.RAW else event.body
    if event.head.mode == Mode.RAW:  # type: ignore[union-attr]  # a stream begins with its start
        return Failure.raw_in_batch()
    return await _gather_items(reply, body_format, budget)


async def _gather_items(reply: Reply, body_format: Format, budget: ByteBudget) -> bytes | Failure:
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
        return event.body if event.code else body_format.join_list(items)
    if isinstance(event, Failure):
        return event
    raise TypeError("a stream begins twice")
