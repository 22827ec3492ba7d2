"""Streams between a call's events and the response, without sockets."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from toto._core.failure import Failure
from toto._core.formats.json_format import JsonFormat
from toto._core.formats.limits import DecodeLimits
from toto._wire.constants import Mode
from toto._wire.messages import Head
from toto_gateway.dispatch.pending import CallRequest, PendingCall, ReplySink
from toto_gateway.dispatch.replies import Reply, StreamStart
from toto_gateway.streaming.framing import EventStreamFraming, Framing, RawFraming, RecordFraming
from toto_gateway.streaming.response import StreamWriter

JSON = JsonFormat(DecodeLimits())
ITEMS = Head(Mode.ITEMS)


class Pool:
    """Remembers the credit that was given back."""

    def __init__(self) -> None:
        self.credits: list[int] = []
        self.abandoned = 0

    def submit(self, request: CallRequest, sink: ReplySink) -> PendingCall:
        return cast(PendingCall, object())

    def abandon(self, call: PendingCall) -> None:
        self.abandoned += 1

    def credit(self, call: PendingCall, size: int) -> None:
        self.credits.append(size)


class Response:
    """Remembers what was written."""

    status = 200

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.end = ""

    def send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        raise AssertionError("streams are started, not sent")

    def start(self, status: int, headers: list[tuple[str, str]]) -> None:
        raise AssertionError("started before")

    async def write(self, chunk: bytes) -> None:
        self.written.append(chunk)

    def finish(self) -> None:
        self.end = "finished"

    def abort(self) -> None:
        self.end = "aborted"


Feed = Callable[[Reply], None]


def stream(framing: Framing, feed: Feed, *, ping_seconds: float = 60.0) -> tuple[Response, Pool]:
    """Write a stream whose events are all there at once."""
    pool, response = Pool(), Response()

    async def scenario() -> None:
        reply = Reply(pool)
        reply.start(cast(Any, None))
        feed(reply)
        assert isinstance(await reply.next(), StreamStart)
        writer = StreamWriter(
            reply,
            response,
            framing,
            body_format=JSON,
            request_id="r1",
            ping_seconds=ping_seconds,
        )
        await writer.run()

    asyncio.run(scenario())
    return response, pool


def two_items(reply: Reply) -> None:
    """An item in one piece, one in two."""
    reply.on_item(ITEMS, b"1", more=False)
    reply.on_item(None, b'"a', more=True)
    reply.on_item(None, b'b"', more=False)


@pytest.mark.parametrize(
    ("framing", "expected"),
    [
        (RecordFraming(JSON), b'{"result":1}\n{"result":"ab"}\n{"end":true}\n'),
        (
            EventStreamFraming(),
            (
                b'id: 0\ndata: {"result":1}\n\nid: 1\ndata: {"result":"ab"}\n\n'
                b'event: end\ndata: {"end":true}\n\n'
            ),
        ),
        (RawFraming("text/plain"), b'1"ab"'),
    ],
)
def test_items_are_framed_whole(framing: Framing, expected: bytes) -> None:
    """However an item was cut on the wire, the client sees it in one frame."""

    def feed(reply: Reply) -> None:
        two_items(reply)
        reply.on_chunk(None, b"", code=0, final=True)

    response, _ = stream(framing, feed)

    assert b"".join(response.written) == expected
    assert response.end == "finished"


def test_a_stream_without_items_has_an_end() -> None:
    """An empty generator is a stream too."""

    def feed(reply: Reply) -> None:
        reply.on_chunk(ITEMS, b"", code=0, final=True)

    response, _ = stream(RecordFraming(JSON), feed)

    assert response.written == [b'{"end":true}\n']


def test_a_lost_worker_is_the_last_record() -> None:
    """The client of a stream learns of a failure in the stream's own terms."""

    def feed(reply: Reply) -> None:
        two_items(reply)
        reply.on_failure(Failure.worker_lost(exit_signal=9, exit_code=None))

    response, _ = stream(RecordFraming(JSON), feed)

    assert response.written[-1] == (
        b'{"error":{"code":1105,"value":"The worker was lost during the call.",'
        b'"request_id":"r1","retryable":false,"outcome":"unknown","signal":"SIGKILL"}}\n'
    )
    assert response.end == "finished"


def test_a_stream_that_breaks_inside_an_item_is_cut() -> None:
    """Nothing that follows half an item could be read."""

    def feed(reply: Reply) -> None:
        reply.on_item(ITEMS, b'"ha', more=True)
        reply.on_failure(Failure.worker_lost(exit_signal=9, exit_code=None))

    response, _ = stream(RecordFraming(JSON), feed)

    assert response.end == "aborted"


def test_a_raw_stream_that_fails_is_cut() -> None:
    """Bytes of a foreign type have no way to say so."""

    def feed(reply: Reply) -> None:
        two_items(reply)
        reply.on_chunk(None, b'{"error":{}}', code=1000, final=True)

    response, _ = stream(RawFraming("text/plain"), feed)

    assert response.end == "aborted"
    assert b"error" not in b"".join(response.written)


def test_credit_goes_back_in_halves_of_the_window() -> None:
    """A worker is let on when the bytes are gone, and not for every piece."""
    piece = b"x" * 65536

    def feed(reply: Reply) -> None:
        for _ in range(4):
            reply.on_item(Head(Mode.RAW, 0, "text/plain"), piece, more=False)
        # The end comes later: a call that has ended needs no credit.
        asyncio.get_running_loop().call_later(
            0.05, lambda: reply.on_chunk(None, b"", code=0, final=True)
        )

    _, pool = stream(RawFraming("text/plain"), feed)

    # A piece costs its length and 256 bytes more.
    assert pool.credits == [2 * (65536 + 256), 2 * (65536 + 256)]


def test_silence_is_filled_with_pings_and_loses_nothing() -> None:
    """Proxies cut silent connections; an event that comes after a ping still counts."""
    pool, response = Pool(), Response()

    async def until(predicate: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not predicate():
                await asyncio.sleep(0.001)

    async def scenario() -> None:
        reply = Reply(pool)
        reply.start(cast(Any, None))
        reply.on_item(ITEMS, b"1", more=False)
        await reply.next()
        writer = StreamWriter(
            reply,
            response,
            EventStreamFraming(),
            body_format=JSON,
            request_id="r1",
            ping_seconds=0.01,
        )
        running = asyncio.create_task(writer.run())
        await until(lambda: response.written.count(b": ping\n\n") >= 2)
        reply.on_item(None, b"2", more=False)
        reply.on_chunk(None, b"", code=0, final=True)
        await running

    asyncio.run(scenario())

    events = [chunk for chunk in response.written if chunk != b": ping\n\n"]
    assert b"".join(events) == (
        b'id: 0\ndata: {"result":1}\n\nid: 1\ndata: {"result":2}\n\n'
        b'event: end\ndata: {"end":true}\n\n'
    )


def test_a_worker_that_streams_without_credit_is_cut_off() -> None:
    """A window is a promise; one that does not keep it cannot fill the gateway's memory."""

    def feed(reply: Reply) -> None:
        for _ in range(5):
            reply.on_item(Head(Mode.RAW, 0, "text/plain"), b"x" * 65536, more=False)

    response, pool = stream(RawFraming("text/plain"), feed)

    assert response.end == "aborted"
    assert pool.abandoned == 1


def test_a_client_that_stops_reading_is_cut_off() -> None:
    """Its generator would hold a worker's slot for ever."""

    class Stuck(Response):
        async def write(self, chunk: bytes) -> None:
            await asyncio.Event().wait()

    pool, response = Pool(), Stuck()

    async def scenario() -> None:
        reply = Reply(pool)
        reply.start(cast(Any, None))
        reply.on_item(ITEMS, b"1", more=False)
        await reply.next()
        writer = StreamWriter(
            reply,
            response,
            RecordFraming(JSON),
            body_format=JSON,
            request_id="r1",
            patience_seconds=0.01,
        )
        await writer.run()

    with pytest.raises(ConnectionAbortedError):
        asyncio.run(scenario())
    assert response.end == "aborted"
