"""A call's answer as one document, however it came: a stream becomes the list of its items."""

from toto._core.failure import Failure
from toto._core.formats.format import Format
from toto._wire.constants import RESPONSE_BYTES_MAX, STREAM_WINDOW_BYTES, Mode
from toto_gateway.dispatch.replies import Answer, ByteBudget, Piece, Push, Reply, StreamStart

__all__ = ["gather_answer"]


async def gather_answer(reply: Reply, body_format: Format, budget: ByteBudget) -> Answer | Failure:
    """Wait for the whole answer.

    Args:
        reply: a call that has been started.
        body_format: the format of its documents.
        budget: what the answer may take of memory.

    Returns:
        The end of the call. Its body is a document, except for an answer of mode RAW, whose stream
        is not read.
    """
    event = await reply.next()
    if not isinstance(event, StreamStart):
        if isinstance(event, Piece | Push):
            raise TypeError("a stream begins with its start")
        return event
    if event.head.mode == Mode.RAW:
        return Answer(event.head, 0, b"")
    return await _gather_items(reply, body_format, budget)


async def _gather_items(reply: Reply, body_format: Format, budget: ByteBudget) -> Answer | Failure:
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
    if isinstance(event, StreamStart | Push):
        raise TypeError("a stream begins once, and its client is no WebSocket's")
    if isinstance(event, Answer) and not event.code:
        return event._replace(body=body_format.join_list(items))
    return event
