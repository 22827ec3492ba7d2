"""Streams over WebSockets: items, their end, and credit (section 8)."""

from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import member
from toto_testkit.formats import JSON, MSGPACK, Format
from toto_testkit.websocket import Socket

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

both_kinds = pytest.mark.parametrize("body_format", [JSON, MSGPACK], ids=["text", "binary"])
both_numbers = pytest.mark.parametrize("method", ["streams.numbers", "streams.numbers_async"])
MEBIBYTE = 1_048_576


def start(socket: Socket, method: str, parameters: Any, **more: Any) -> None:
    """Send a call with the id ``s``."""
    socket.send({"id": "s", "method": method, "parameters": parameters, **more})


# -- items and the end


@both_kinds
@both_numbers
def test_a_stream_is_items_and_an_end(socket: Socket, method: str, body_format: Format) -> None:
    """Each carries the id, if the call had one."""
    socket.send({"id": 9, "method": method, "parameters": {"count": 3}}, body_format)
    with_id = socket.stream(9)
    socket.send({"method": method, "parameters": {"count": 2}}, body_format)
    without_id = [socket.receive() for _ in range(3)]

    assert with_id == [
        {"id": 9, "item": 0},
        {"id": 9, "item": 1},
        {"id": 9, "item": 2},
        {"id": 9, "end": True},
    ]
    assert without_id == [{"item": 0}, {"item": 1}, {"end": True}]


@both_kinds
@both_numbers
def test_an_empty_stream_is_an_end(socket: Socket, method: str, body_format: Format) -> None:
    """And nothing before it."""
    assert socket.call(method, {"count": 0}, body_format) == {"end": True}


@both_kinds
@both_numbers
@pytest.mark.parametrize("count", [0, 2])
def test_an_error_ends_a_stream(
    socket: Socket, method: str, count: int, body_format: Format
) -> None:
    """The items before it stand, and no end follows."""
    parameters = {"count": 5, "fail_at": count, "code": 4242}
    socket.send({"id": 1, "method": method, "parameters": parameters}, body_format)

    received = socket.stream(1)

    assert [message["item"] for message in received[:-1]] == list(range(count))
    assert received[-1] == {"id": 1, "error": {"code": 4242, "value": "stopped"}}
    assert socket.result("echo", 1) == 1
    assert socket.is_quiet(0.05)


def test_an_unexpected_error_in_a_stream_is_the_fixed_text(socket: Socket) -> None:
    """As everywhere."""
    socket.send({"id": 1, "method": "streams.numbers", "parameters": {"count": 2, "fail_at": 1}})

    error = socket.stream(1)[-1]["error"]

    assert error["code"] == 1000
    assert error["value"].startswith("Internal server error (")


@both_kinds
def test_an_item_can_be_a_mebibyte(socket: Socket, body_format: Format) -> None:
    """And bytes, where the format has them."""
    parameters = {"size": MEBIBYTE, "count": 8, "binary": body_format is MSGPACK}

    items = socket.items("socket.blocks", parameters, body_format)

    assert items == [b"x" * MEBIBYTE if body_format is MSGPACK else "x" * MEBIBYTE] * 8


@both_kinds
def test_an_item_of_more_than_eight_mebibytes_fails_its_call(
    socket: Socket, body_format: Format
) -> None:
    """With error 1000; one of the greatest size is sent."""
    fits = {"size": 8 * MEBIBYTE - 64, "count": 1}
    too_large = {"size": 8 * MEBIBYTE + 1, "count": 2}

    assert len(socket.items("socket.blocks", fits, body_format)[0]) == 8 * MEBIBYTE - 64
    answer = socket.call("socket.blocks", too_large, body_format)

    assert answer["error"]["code"] == 1000
    assert socket.result("echo", 1) == 1


def test_an_item_can_have_a_key(socket: Socket, tmp_path: Path) -> None:
    """The name that the method gives it."""
    assert socket.items("socket.keys") == [["plain"], ["named"], ["last"]]
    socket.send({"id": 1, "method": "socket.keys"})

    assert socket.stream(1) == [
        {"id": 1, "item": ["plain"]},
        {"id": 1, "item": ["named"], "key": "first-key"},
        {"id": 1, "item": ["last"], "key": "17-0"},
        {"id": 1, "end": True},
    ]


def test_an_item_that_no_format_carries_ends_the_stream(socket: Socket) -> None:
    """The items before it stand."""
    parameters = {"names": ["zero", "set", "zero"]}
    socket.send({"id": 1, "method": "contract.item_values", "parameters": parameters})

    first, last = socket.stream(1)

    assert first == {"id": 1, "item": 0}
    assert last["error"]["code"] == 1000
    assert "a[0].b" in last["error"]["value"]


def test_streams_and_calls_mix_on_one_socket(socket: Socket) -> None:
    """Each stream keeps its order, and calls are answered between their items."""
    for call in range(4):
        method = ("streams.numbers", "streams.numbers_async")[call % 2]
        socket.send({"id": call, "method": method, "parameters": {"count": 200}})
    echoed = [socket.result("echo", number) for number in range(20)]
    streams = [socket.stream(call) for call in range(4)]

    assert echoed == list(range(20))
    expected = [{"item": number} for number in range(200)]
    for call, received in enumerate(streams):
        assert received == [*({"id": call, **item} for item in expected), {"id": call, "end": True}]


# -- credit


@both_numbers
@both_kinds
def test_no_more_items_come_than_credit_was_given(
    socket: Socket, method: str, body_format: Format
) -> None:
    """Exactly so many, then exactly as many more as are asked for."""
    call = {"id": 1, "method": method, "parameters": {"count": 10}, "credit": 3}
    socket.send(call, body_format)
    first = [socket.receive() for _ in range(3)]
    assert socket.result("echo", 1) == 1
    assert socket.is_quiet()
    socket.send({"id": 1, "credit": 2}, body_format)
    socket.send({"id": 1, "credit": 1}, body_format)
    second = [socket.receive() for _ in range(3)]
    assert socket.is_quiet()
    socket.send({"id": 1, "credit": 2**40}, body_format)

    assert [message["item"] for message in first + second] == list(range(6))
    assert socket.stream(1)[-2:] == [{"id": 1, "item": 9}, {"id": 1, "end": True}]


@both_numbers
def test_an_end_needs_no_credit(socket: Socket, method: str) -> None:
    """Only items do: a stream of just as many items as were asked for is told to be over."""
    start(socket, method, {"count": 3}, credit=3)

    assert len(socket.stream("s")) == 4


@both_numbers
def test_an_error_needs_no_credit(socket: Socket, method: str) -> None:
    """It comes right behind the last item."""
    start(socket, method, {"count": 5, "fail_at": 2, "code": 4242}, credit=2)

    assert socket.stream("s")[-1]["error"] == {"code": 4242, "value": "stopped"}


def test_without_credit_the_generator_waits(socket: Socket, tmp_path: Path) -> None:
    """It does not run far ahead of the client."""
    progress = tmp_path / "progress"
    start(
        socket, "socket.blocks", {"size": 65_536, "count": 400, "progress": str(progress)}, credit=1
    )
    socket.receive()
    assert socket.is_quiet(0.3)
    ahead = int(progress.read_text())

    assert ahead < 32  # twice what lies in two windows of 256 KiB, and one that is being made


def test_streams_have_each_their_own_credit(socket: Socket) -> None:
    """What is given to one is no other's."""
    for call in ("a", "b"):
        parameters = {"count": 9}
        socket.send(
            {"id": call, "method": "streams.numbers", "parameters": parameters, "credit": 1}
        )
    assert {socket.receive()["id"], socket.receive()["id"]} == {"a", "b"}
    socket.send({"id": "b", "credit": 3})

    assert [socket.receive()["id"] for _ in range(3)] == ["b", "b", "b"]
    assert socket.is_quiet()


def test_credit_that_is_none_changes_nothing(socket: Socket) -> None:
    """A wrong number is refused; the stream waits as before and goes on afterwards."""
    start(socket, "streams.numbers", {"count": 3}, credit=1)
    assert socket.receive() == {"id": "s", "item": 0}
    wrong: list[Any] = [0, -5, "3", 1.5, True, None, []]
    for credit in wrong:
        socket.send({"id": "s", "credit": credit})
        assert socket.receive()["error"]["code"] == 1100
    assert socket.is_quiet(0.1)
    socket.send({"id": "s", "credit": 5})

    assert [message.get("item") for message in socket.stream("s")] == [1, 2, None]


def test_credit_for_a_call_that_has_ended_is_no_harm(socket: Socket) -> None:
    """A client cannot know in time that the stream is over."""
    start(socket, "streams.numbers", {"count": 1}, credit=1)
    socket.stream("s")
    socket.send({"id": "s", "credit": 5})
    socket.send({"id": "never", "credit": 5})

    assert socket.call("streams.numbers", {"count": 0}, credit=1) == {"end": True}


def test_credit_does_not_matter_to_other_calls(socket: Socket) -> None:
    """A plain call and a batch take it and have one answer."""
    assert socket.call("echo", 1, credit=1) == {"result": 1}
    socket.send({"id": 1, "batch": {"k": member("streams.numbers", count=3)}, "credit": 1})

    assert socket.receive() == {"id": 1, "batch": {"k": {"result": [0, 1, 2]}}}
