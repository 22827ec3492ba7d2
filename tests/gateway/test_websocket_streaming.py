"""What a call of a socket sends before its end, and what holds it back. No I/O."""

import pytest

from toto._wire.constants import Mode
from toto._wire.messages import Head
from toto_testkit.conversing import ITEMS, SocketWorld, converse, turns, until

RAW = {"code": 1000, "value": "A raw response cannot be part of a batch."}


def test_a_stream_is_passed_on_item_by_item() -> None:
    """Parts are put together, names are told, and the end says so."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"})
        sink = world.call.sink
        sink.on_item(ITEMS, b"1", more=False, key="k1")
        sink.on_item(None, b'"a', more=True, key="k2")
        await world.hear(1)
        sink.on_item(None, b'b"', more=False, key="")
        sink.on_item(None, b"3", more=False)
        world.call.end()
        await world.hear(4)

    world = converse(scenario)

    assert world.heard.messages == [
        {"id": 1, "item": 1, "key": "k1"},
        {"id": 1, "item": "ab", "key": "k2"},
        {"id": 1, "item": 3},
        {"id": 1, "end": True},
    ]


def test_a_stream_without_items_just_ends() -> None:
    """A generator may have nothing to say."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"method": "m"})
        world.call.answer(b"", head=ITEMS)
        await world.hear(1)

    assert converse(scenario).heard.messages == [{"end": True}]


def test_a_stream_that_fails_ends_with_the_error() -> None:
    """What was held of an item is dropped."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"})
        world.call.items(b"1")
        world.call.sink.on_item(None, b'"half', more=True)
        world.call.answer(b'{"error":{"code":4000,"value":"x"}}', code=4000)
        await world.hear(2)

    world = converse(scenario)

    assert world.heard.messages == [
        {"id": 1, "item": 1},
        {"id": 1, "error": {"code": 4000, "value": "x"}},
    ]


def test_credit_is_counted_in_items() -> None:
    """As many as were allowed, then no more; the end needs none."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m", "credit": 2})
        world.call.items(b"1", b"2", b"3", b"4")
        world.call.end()
        await turns()
        assert [message["item"] for message in world.heard.messages] == [1, 2]
        await world.say({"id": 1, "credit": 1})
        assert [message["item"] for message in world.heard.messages] == [1, 2, 3]
        await world.say({"id": 1, "credit": 1})
        await world.hear(5)

    assert converse(scenario).heard.messages[-1] == {"id": 1, "end": True}


def test_credit_for_a_stream_without_a_limit_or_for_none_is_ignored() -> None:
    """It may cross the end of its stream, and it is no error then."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"}, {"id": 1, "credit": 1}, {"id": 9, "credit": 1})
        world.call.items(b"1", b"2")
        world.call.end()
        await world.hear(3)
        await world.say({"id": 1, "credit": 1})

    assert len(converse(scenario).heard.messages) == 3


def test_a_generator_does_not_wait_for_credit_for_ever() -> None:
    """It would hold its worker's slot for a client that has lost interest."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m", "credit": 1})
        world.call.items(b"1", b"2")
        await world.hear(2)
        assert world.call.is_abandoned

    world = converse(scenario, credit_patience_seconds=0.01)

    assert world.heard.messages[1]["error"]["code"] == 1106


def test_the_worker_gets_credit_when_the_client_has_taken_the_items() -> None:
    """A slow reader stops the generator: the window is a promise of the client's."""
    item = b'"' + b"x" * 66_000 + b'"'

    async def scenario(world: SocketWorld) -> None:
        world.heard.reads.clear()
        await world.say({"id": 1, "method": "m"})
        world.call.items(item, item, item)
        await turns()
        assert world.call.credits == []
        world.heard.reads.set()
        await until(lambda: world.call.credits)
        # Each item costs its length and 256 bytes more.
        assert world.call.credits == [2 * (66_002 + 256)]

    converse(scenario)


def test_a_long_item_gets_credit_before_it_is_whole() -> None:
    """Otherwise what is longer than the window would never arrive."""
    part = b"x" * 65_536

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"})
        sink = world.call.sink
        sink.on_item(ITEMS, b'"', more=True)
        for _ in range(8):
            sink.on_item(None, part, more=True)
            await turns()
        sink.on_item(None, b'"', more=False)
        await world.hear(1)
        assert len(world.call.credits) == 4

    world = converse(scenario)

    assert world.heard.messages == [{"id": 1, "item": "x" * 8 * 65_536}]


@pytest.mark.parametrize("kind", ["item", "push"])
def test_what_is_too_large_for_one_message_ends_its_call(kind: str) -> None:
    """8 MiB are held until they are whole, and no more."""
    part = b"x" * 65_536

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"}, {"id": 2, "method": "m"})
        call = world.pool.calls[0]
        for _ in range(129):
            if kind == "item":
                call.sink.on_item(ITEMS, part, more=True)
            else:
                call.sink.on_push(part, more=True)
            await turns(3)
        await world.hear(1)
        assert call.is_abandoned
        world.call.answer(b'{"result":1}')
        await world.hear(2)

    world = converse(scenario)

    assert [message.get("error", {}).get("code") for message in world.heard.messages] == [
        1000,
        None,
    ]


def test_messages_beside_the_answer_are_passed_on_as_they_are() -> None:
    """They belong to no id; parts of them and of items may alternate."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"})
        sink = world.call.sink
        sink.on_push(b'{"message_', more=True)
        sink.on_item(ITEMS, b"[1", more=True)
        sink.on_push(b'id":1,"data":2}', more=False)
        sink.on_item(None, b"]", more=False)
        world.call.end()
        await world.hear(3)

    world = converse(scenario)

    assert world.heard.messages == [
        {"message_id": 1, "data": 2},
        {"id": 1, "item": [1]},
        {"id": 1, "end": True},
    ]


@pytest.mark.parametrize(
    "head",
    [
        Head(Mode.RAW, 200, "text/plain"),
        Head(Mode.RAW, 302, "text/plain", (("Location", "/"),)),
        Head(Mode.ENVELOPE, 0, "application/msgpack"),
        Head(Mode.ENVELOPE, 0, "application/json; charset=utf-8"),
    ],
)
def test_bytes_of_another_type_are_no_answer(head: Head) -> None:
    """A message is a document in the call's format."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"})
        world.call.answer(b"bytes", head=head)
        await world.hear(1)

    assert converse(scenario).heard.messages == [{"id": 1, "error": RAW}]


def test_a_raw_stream_is_no_answer_and_is_ended() -> None:
    """Its generator must not run on."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"})
        world.call.items(b"bytes", head=Head(Mode.RAW, 0, "text/plain"))
        await world.hear(1)
        assert world.call.is_abandoned

    assert converse(scenario).heard.messages == [{"id": 1, "error": RAW}]


def test_status_and_headers_of_a_method_are_dropped() -> None:
    """There is nowhere to put them."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"})
        world.call.answer(b'{"result":1}', head=Head(0, 404, "", (("X-A", "1"),)))
        await world.hear(1)

    assert converse(scenario).heard.messages == [{"id": 1, "result": 1}]
