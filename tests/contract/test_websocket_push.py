"""Messages that methods send beside their answers: ``handler.send_message`` (section 8)."""

from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.formats import JSON, MSGPACK, Format
from toto_testkit.waiting import poll_until
from toto_testkit.websocket import Socket, open_socket

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

both_kinds = pytest.mark.parametrize("body_format", [JSON, MSGPACK], ids=["text", "binary"])
either_way = pytest.mark.parametrize("method", ["socket.push", "socket.push_async"])
MEBIBYTE = 1_048_576


@both_kinds
@either_way
def test_messages_come_before_the_answer_in_order(
    socket: Socket, method: str, body_format: Format
) -> None:
    """Each is the value itself, without the id of the call."""
    messages = [{"a": 1}, [], "text", 5, None, True, {"id": 1, "result": "forged"}, 0.5]

    socket.send({"id": "p", "method": method, "parameters": {"messages": messages}}, body_format)
    received = [socket.receive() for _ in messages]

    assert received == messages
    assert socket.receive() == {"id": "p", "result": len(messages)}


@either_way
@pytest.mark.parametrize("message_id", ["progress", "", 0, 7, ["a"], {"k": 1}, False])
def test_a_message_may_have_an_id_of_its_own(socket: Socket, method: str, message_id: Any) -> None:
    """Then it is an object with that id and the data; anything but None is an id."""
    parameters = {"messages": [{"a": 1}, None], "message_id": message_id}

    socket.send({"method": method, "parameters": parameters})
    received = [socket.receive() for _ in range(3)]

    assert received == [
        {"message_id": message_id, "data": {"a": 1}},
        {"message_id": message_id, "data": None},
        {"result": 2},
    ]


def test_messages_have_the_kind_of_their_call(socket: Socket) -> None:
    """Those of a binary call are binary, and may hold bytes."""
    parameters = {"messages": [b"\x00\xff"]}
    socket.send({"method": "socket.push", "parameters": parameters}, MSGPACK)
    data = socket.receive_data()

    assert isinstance(data, bytes)
    assert MSGPACK.loads(data) == b"\x00\xff"
    assert socket.receive() == {"result": 1}


@both_kinds
@pytest.mark.parametrize("method", ["socket.push_stream", "socket.push_stream_async"])
def test_messages_and_items_keep_their_order(
    socket: Socket, method: str, body_format: Format
) -> None:
    """What a generator sends before an item comes before that item."""
    socket.send({"id": 1, "method": method, "parameters": {"count": 3}}, body_format)
    received = [socket.receive() for _ in range(7)]

    assert received == [
        "before 0",
        {"id": 1, "item": 0},
        "before 1",
        {"id": 1, "item": 1},
        "before 2",
        {"id": 1, "item": 2},
        {"id": 1, "end": True},
    ]


def test_messages_of_a_stream_may_have_an_id(socket: Socket) -> None:
    """As those of any method."""
    parameters = {"count": 1, "message_id": "m"}
    socket.send({"id": 1, "method": "socket.push_stream", "parameters": parameters})

    assert socket.receive() == {"message_id": "m", "data": "before 0"}


def test_messages_go_to_the_socket_of_the_call_alone(sockets: Cluster, socket: Socket) -> None:
    """Another client hears nothing."""
    with open_socket(sockets) as other:
        other.result("echo")
        socket.send({"method": "socket.push", "parameters": {"messages": ["mine"]}})
        assert socket.receive() == "mine"

        assert other.is_quiet()


def test_messages_of_calls_at_once_keep_each_its_order(socket: Socket) -> None:
    """They mix with those of others, but never overtake one another."""
    for call in range(4):
        messages = [[call, number] for number in range(50)]
        method = ("socket.push", "socket.push_async")[call % 2]
        socket.send({"id": call, "method": method, "parameters": {"messages": messages}})
    received: dict[int, list[int]] = {call: [] for call in range(4)}
    ended = 0
    while ended < 4:
        message = socket.receive()
        if isinstance(message, list):
            received[message[0]].append(message[1])
        else:
            assert received[message["id"]] == list(range(50))
            ended += 1

    assert received == {call: list(range(50)) for call in range(4)}


@pytest.mark.parametrize("method", ["socket.push", "socket.push_async", "socket.push_stream"])
def test_over_http_there_is_nobody_to_send_to(sockets: Cluster, method: str) -> None:
    """The call fails as with any error of a method."""
    response = sockets.call(method, {"messages": ["a"], "count": 1})

    assert response.error["code"] == 1000


@pytest.mark.parametrize("is_batch", [False, True])
def test_over_http_it_is_a_runtime_error(sockets: Cluster, is_batch: bool) -> None:
    """Which a method can catch; what it says is no secret."""
    if is_batch:
        result = sockets.batch({"k": member("socket.push_refused")})["k"]["result"]
    else:
        result = sockets.call("socket.push_refused", {}).result

    assert result[0] == "RuntimeError"
    assert result[1]


def test_members_of_a_batch_send_no_messages(socket: Socket) -> None:
    """They have no answer of their own that one could come before: the method gets an error."""
    batch = {key: member("socket.push", messages=[key]) for key in ("a", "b")}
    socket.send({"id": 1, "batch": batch})
    answer = socket.receive()

    assert {key: entry["error"]["code"] for key, entry in answer["batch"].items()} == {
        "a": 1000,
        "b": 1000,
    }


def test_a_message_after_the_answer_is_dropped(socket: Socket, tmp_path: Path) -> None:
    """The method hears nothing of it."""
    path = tmp_path / "late"
    result = socket.result("socket.push_late", {"path": str(path)})
    poll_until(path.exists, message="the method has tried")

    assert result == "answered"
    assert path.read_text() == "ignored"
    assert socket.is_quiet(0.05)


# -- sizes


much = pytest.mark.parametrize("method", ["socket.push_much", "socket.push_much_async"])


@much
@both_kinds
def test_large_messages_come_whole(
    socket: Socket, tmp_path: Path, method: str, body_format: Format
) -> None:
    """Up to 8 MiB; a window of 256 KiB does not cut them."""
    parameters = {"size": 8 * MEBIBYTE - 64, "count": 2, "path": str(tmp_path / "ended")}

    socket.send({"method": method, "parameters": parameters}, body_format)

    assert [socket.receive() == "x" * (8 * MEBIBYTE - 64) for _ in range(2)] == [True, True]
    assert socket.receive() == {"result": 2}


def test_threads_that_send_at_once_wait_for_one_another(socket: Socket) -> None:
    """However much that is together."""
    socket.send({"method": "socket.push_threads", "parameters": {"threads": 16}})

    messages = [socket.receive() for _ in range(17)]

    assert messages.pop() == {"result": "sent"}
    assert sorted(messages) == sorted(str(n) * 2**20 for n in range(16))


@much
def test_a_message_that_is_too_large_fails_its_call(
    socket: Socket, tmp_path: Path, method: str
) -> None:
    """With error 1000; the socket stays open."""
    parameters = {"size": 8 * MEBIBYTE + 1, "count": 2, "path": str(tmp_path / "ended")}

    error = socket.error(method, parameters)

    assert error["code"] == 1000
    assert socket.result("echo", 1) == 1
    assert not (tmp_path / "ended").exists()


def test_a_message_that_no_format_carries_fails_its_call(socket: Socket) -> None:
    """Bytes do not fit JSON; nothing of the message is sent."""
    error = socket.error("socket.push_bytes")

    assert error["code"] == 1000
    assert socket.is_quiet(0.05)
    assert socket.call("socket.push_bytes", {}, MSGPACK) == {"result": "sent"}


@much
def test_a_method_waits_for_a_slow_client(sockets: Cluster, method: str, tmp_path: Path) -> None:
    """Messages do not pile up: a method that sends much stands still until the client reads."""
    ended = tmp_path / "ended"
    parameters = {"size": MEBIBYTE, "count": 64, "path": str(ended)}
    with open_socket(sockets, max_queue=1) as socket:
        socket.send({"id": 1, "method": method, "parameters": parameters})
        assert socket.receive() == "x" * MEBIBYTE
        with open_socket(sockets) as other:
            assert [other.result("echo", n) for n in range(50)] == list(range(50))
        was_waiting = not ended.exists()
        for _ in range(63):
            assert len(socket.receive()) == MEBIBYTE
        result = socket.receive()

    assert was_waiting
    assert result == {"id": 1, "result": 64}
    assert ended.exists()
