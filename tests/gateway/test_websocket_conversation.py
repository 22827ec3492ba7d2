"""One socket's calls: by id, side by side, with limits, credit and an end. No I/O."""

import logging

import pytest

from toto_testkit.conversing import (
    LOST,
    SocketWorld,
    converse,
    handshake_of,
    turns,
    until,
)

STOPPING = {"code": 1104, "value": "The gateway is stopping.", "retryable": True}


def test_a_call_is_answered_with_its_id() -> None:
    """The worker gets the message itself as the body, and says what the client hears."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": "a", "method": "m", "parameters": {"x": 1}})
        request = world.call.request
        world.call.answer(b'{"result":[1]}')
        await world.hear(1)

        assert request.method == "m"
        assert request.body == b'{"id": "a", "method": "m", "parameters": {"x": 1}}'
        assert request.info.body_format == "json"
        assert request.info.content_type == "application/json"
        assert (request.info.verb, request.info.uri) == ("POST", "/websocket?a=1")
        assert request.info.is_socket

    world = converse(scenario)

    assert world.heard.messages == [{"id": "a", "result": [1]}]
    assert world.heard.kinds == ["text"]


def test_calls_overtake_each_other_in_both_formats() -> None:
    """Each answer goes out when it is there, in the kind of its call."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "slow"})
        await world.say({"id": 2, "method": "fast"}, binary=True)
        slow, fast = world.pool.calls
        fast.answer(b"\x81\xa6result\x05")
        await world.hear(1)
        slow.answer(b'{"result":4}')
        await world.hear(2)

    world = converse(scenario)

    assert world.heard.messages == [{"id": 2, "result": 5}, {"id": 1, "result": 4}]
    assert world.heard.kinds == ["binary", "text"]


def test_request_ids_are_counted_or_given() -> None:
    """The client's own goes before the number, if it could stand in the header."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"method": "m"}, {"method": "m", "request_id": "mine"})
        await world.say({"method": "m", "request_id": "not one"}, {"method": "m"})

    world = converse(scenario)

    assert [call.request.info.request_id for call in world.pool.calls] == [
        "r-1",
        "mine",
        "r-3",
        "r-4",
    ]


def test_an_error_of_the_pool_is_an_answer() -> None:
    """It names the request, as over HTTP."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"})
        world.call.sink.on_failure(LOST)
        await world.hear(1)

    world = converse(scenario)

    (message,) = world.heard.messages
    assert message["id"] == 1
    assert message["error"]["code"] == 1105
    assert message["error"]["request_id"] == "r-1"


def test_a_cancelled_call_is_confirmed_and_says_nothing_more() -> None:
    """The worker is told, whatever it still sends is not passed on, and the id is free."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"})
        call = world.call
        call.items(b"1")
        await world.hear(1)
        call.items(b"2")
        await world.say({"id": 1, "cancel": True}, {"id": 1, "method": "again"})
        assert call.is_abandoned
        call.items(b"3")
        world.call.answer(b'{"result":1}')
        await world.hear(3)

    world = converse(scenario)

    assert world.heard.messages == [
        {"id": 1, "item": 1},
        {"id": 1, "end": True, "cancelled": True},
        {"id": 1, "result": 1},
    ]


def test_a_call_can_be_cancelled_before_it_has_begun() -> None:
    """All three messages are there at once."""

    async def scenario(world: SocketWorld) -> None:
        on_message = world.conversation.on_message
        await on_message(b'{"id":1,"method":"m"}', is_text=True)
        await on_message(b'{"id":1,"cancel":true}', is_text=True)
        await on_message(b'{"id":1,"method":"again"}', is_text=True)
        await turns()
        assert [call.request.method for call in world.pool.calls] == ["again"]

    assert converse(scenario).heard.messages == [{"id": 1, "end": True, "cancelled": True}]


def test_a_confirmation_is_of_the_kind_of_its_call() -> None:
    """Whatever the kind of the message that cancelled it."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"}, binary=True)
        await world.say({"id": 1, "cancel": True})

    assert converse(scenario).heard.kinds == ["binary"]


def test_what_is_not_under_way_cannot_be_cancelled() -> None:
    """An unknown id, and one whose answer is on its way to a slow client."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 9, "cancel": True})
        world.heard.reads.clear()
        await world.say({"id": 1, "method": "m"})
        world.call.answer(b'{"result":1}')
        await world.hear(1)
        await world.say({"id": 1, "cancel": True})

    assert converse(scenario).heard.messages == [{"id": 1, "result": 1}]


def test_an_id_under_way_is_refused_and_free_again_with_its_answer() -> None:
    """Text and numbers are different ids."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"}, {"id": 1, "method": "m"}, {"id": "1", "batch": 1})
        assert [message["error"]["code"] for message in world.heard.messages] == [1100, 1100]
        await world.say({"id": "1", "method": "m"})
        world.pool.calls[0].answer(b'{"result":1}')
        await world.hear(3)
        await world.say({"id": 1, "method": "m"})
        assert len(world.pool.calls) == 3

    assert len(converse(scenario).heard.messages) == 3


def test_only_so_many_calls_are_under_way() -> None:
    """A cancelled one makes room at once, and so does one whose answer is on its way; but of those
    there may be no more than of the others."""

    async def scenario(world: SocketWorld) -> None:
        await world.say(
            {"id": 1, "method": "m"}, {"id": 2, "method": "m"}, {"id": 3, "method": "m"}
        )
        assert [message["error"]["code"] for message in world.heard.messages] == [1103]
        await world.say({"id": 1, "cancel": True}, {"id": 4, "method": "m"})
        assert len(world.pool.calls) == 3
        world.heard.reads.clear()
        world.pool.calls[1].answer(b'{"result":1}')
        await world.hear(3)
        await world.say({"id": 5, "method": "m"}, {"id": 6, "method": "m"})
        assert len(world.pool.calls) == 4
        assert world.heard.messages[-1]["error"]["code"] == 1103
        for call in world.pool.calls[2:]:
            call.answer(b'{"result":1}')
        await turns()
        await world.say({"id": 7, "method": "m"}, {"id": 8, "method": "m"})
        assert len(world.pool.calls) == 5
        assert world.heard.messages[-1]["error"]["code"] == 1103
        world.heard.reads.set()
        await turns()
        await world.say({"id": 9, "method": "m"})
        assert len(world.pool.calls) == 6

    converse(scenario, calls_max=2)


def test_a_batch_is_one_call_and_its_answer_has_the_id() -> None:
    """Its members go to the pool side by side, and have no socket of their own."""

    async def scenario(world: SocketWorld) -> None:
        members = {"a": {"method": "m", "parameters": 1}, "b": {"method": "n"}, "c": 5}
        await world.say({"id": 1, "batch": members}, {"id": 2, "method": "refused"})
        for number, call in enumerate(world.pool.calls):
            assert not call.request.info.is_socket
            assert call.request.in_batch
            call.answer(b'{"result":%d}' % number)
        await world.hear(2)

    world = converse(scenario, calls_max=1)

    refused, answer = world.heard.messages
    assert refused["error"]["code"] == 1103
    assert answer["id"] == 1
    assert answer["batch"]["a"] == {"result": 0}
    assert answer["batch"]["b"] == {"result": 1}
    assert answer["batch"]["c"]["error"]["code"] == 1100


def test_a_batch_can_be_cancelled() -> None:
    """All members are given up."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "batch": {"a": {"method": "m"}, "b": {"method": "m"}}})
        await world.say({"id": 1, "cancel": True})
        assert [call.is_abandoned for call in world.pool.calls] == [True, True]

    assert converse(scenario).heard.messages == [{"id": 1, "end": True, "cancelled": True}]


def test_a_batch_with_too_many_members_is_refused() -> None:
    """The limit is that of batches over HTTP."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "batch": {str(n): {"method": "m"} for n in range(4)}})

    (message,) = converse(scenario).heard.messages
    assert message["error"]["code"] == 1100
    assert "3 members" in message["error"]["value"]


def test_a_method_name_that_is_too_long_is_unknown() -> None:
    """It does not reach the pool."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m" * 129})
        assert world.pool.calls == []

    assert converse(scenario).heard.messages[0]["error"]["code"] == 1001


def test_binary_messages_need_msgpack() -> None:
    """The answer is text then, which every client can read; the socket stays open."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"}, binary=True)
        await world.say({"id": 1, "method": "m"})
        assert len(world.pool.calls) == 1

    world = converse(scenario, msgpack_enabled=False)

    assert [message["error"]["code"] for message in world.heard.messages] == [1102]
    assert world.heard.kinds == ["text"]
    assert world.heard.closed == []


def test_a_client_that_leaves_ends_its_calls() -> None:
    """All of them at once, and nothing is said any more."""

    async def scenario(world: SocketWorld) -> None:
        await world.say(
            {"id": 1, "method": "m"}, {"method": "m"}, {"batch": {"a": {"method": "m"}}}
        )
        world.conversation.close()
        await world.conversation.wait_closed()
        assert [call.is_abandoned for call in world.pool.calls] == [True, True, True]

    assert converse(scenario).heard.messages == []


def test_an_answer_that_finds_no_client_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """It happens all the time."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"})
        world.heard.is_gone = True
        world.call.answer(b'{"result":1}')
        await turns()

    with caplog.at_level(logging.WARNING):
        converse(scenario)

    assert caplog.records == []


def test_a_fault_of_the_gateway_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Without telling the client more than an id."""

    async def scenario(world: SocketWorld) -> None:
        world.pool.fault = RuntimeError("a secret of the gateway")
        await world.say({"id": 1, "method": "m"})
        await world.hear(1)

    (message,) = converse(scenario).heard.messages

    assert message == {
        "id": 1,
        "error": {"code": 1000, "value": "Internal server error (r-1)"},
    }
    assert "a secret of the gateway" in caplog.text


def test_draining_lets_calls_end_and_takes_no_new_ones() -> None:
    """The goodbye comes behind the last answer."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "m"}, {"id": 2, "method": "m"})
        world.conversation.drain()
        await world.say({"id": 3, "method": "m"})
        world.pool.calls[0].answer(b'{"result":1}')
        await world.hear(2)
        await turns()
        assert world.heard.closed == []
        world.pool.calls[1].answer(b'{"result":2}')
        await until(lambda: world.heard.closed)

    world = converse(scenario)

    refused, *answers = world.heard.messages
    assert refused == {"id": 3, "error": {**STOPPING, "request_id": "r-3"}}
    assert answers == [{"id": 1, "result": 1}, {"id": 2, "result": 2}]
    assert world.heard.closed == [1001]


def test_draining_closes_an_idle_socket_at_once() -> None:
    """Nobody waits for anything."""

    async def scenario(world: SocketWorld) -> None:
        world.conversation.drain()

    assert converse(scenario).heard.closed == [1001]


def test_each_call_has_a_line_in_the_access_log(caplog: pytest.LogCaptureFixture) -> None:
    """With how it ended; refused ones too."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "good"}, {"id": 2, "method": "bad"})
        await world.say({"id": 3, "method": "left"}, {"id": 3, "method": "twice"})
        await world.say({"batch": {"a": {"method": "m"}}})
        good, bad, _, member = world.pool.calls
        good.answer(b'{"result":1}')
        bad.answer(b'{"error":{"code":4000,"value":1}}', code=4000)
        member.answer(b'{"result":1}')
        await world.hear(4)

    with caplog.at_level(logging.INFO, "toto.access"):
        converse(scenario, handshake=handshake_of())

    lines = [record.getMessage().split() for record in caplog.records]
    assert sorted((line[:4] for line in lines), key=str) == [
        ["WS", "/websocket", "<batch>", "0"],
        ["WS", "/websocket", "bad", "4000"],
        ["WS", "/websocket", "good", "0"],
        ["WS", "/websocket", "left", "499"],
        ["WS", "/websocket", "twice", "1100"],
    ]
    assert {(line[5], line[6]) for line in lines} == {("ms", "127.0.0.1")}
