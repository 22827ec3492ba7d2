"""What messages over WebSockets may look like, and what they mean."""

from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.formats import JSON, MSGPACK, Format
from toto_testkit.websocket import Socket, open_socket

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

both_kinds = pytest.mark.parametrize("body_format", [JSON, MSGPACK], ids=["text", "binary"])


# -- messages that are none


@pytest.mark.parametrize(
    "data",
    [
        "",
        " ",
        "nonsense",
        "{",
        '{"method": "echo", "parameters": {}} more',
        "{'method': 'echo'}",
        '{"method": "echo", "parameters": NaN}',
        "[" * 50_000,
        '{"a":' * 50_000,
        "null",
        "5",
        "1e999",
        '"echo"',
        "[]",
        '[{"method": "echo"}]',
        b"",
        b"\xc1",
        b"\x82\xa1a",
        b"\x81\xa6method\xa4echo more",
        b"\x91" * 50_000,
        b"\xc0",
        b"\x05",
        b"\xa4echo",
        b"\x90",
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\x81\x01\x02",
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_no_object_is_malformed(socket: Socket, data: str | bytes) -> None:
    """It is answered with error 1100, in its own kind, and the socket stays open."""
    socket.send_data(data)
    answer = socket.receive_data()

    assert type(answer) is type(data)
    body_format = JSON if isinstance(answer, str) else MSGPACK
    decoded = body_format.loads(answer.encode() if isinstance(answer, str) else answer)
    assert decoded.keys() == {"error"}
    assert decoded["error"]["code"] == 1100
    assert isinstance(decoded["error"]["retryable"], bool)
    assert decoded["error"]["request_id"]
    assert socket.result("echo", 1) == 1


@both_kinds
@pytest.mark.parametrize(
    "members",
    [
        {"method": "echo", "credit": 0},
        {"method": "echo", "credit": -1},
        {"method": "echo", "credit": True},
        {"method": "echo", "credit": 1.5},
        {"method": "echo", "credit": "1"},
        {"method": "echo", "credit": {}},
        {"method": "echo", "request_id": 5},
        {"method": "echo", "request_id": []},
        {"method": "echo", "session_id": 5},
        {"method": "echo", "session_id": ["x"]},
        {"method": "echo", "session_id": "x", "headers": "x"},
        {"method": "echo", "session_id": "x", "headers": {"x-toto-hmac": 5}},
        {"method": "echo", "session_id": "x", "headers": {"x-toto-hmac": None}},
        {"method": "echo", "session_id": "x", "headers": {f"x-{n}": "" for n in range(17)}},
        {"cancel": "yes"},
        {"cancel": 1},
        {"credit": 0},
        {"credit": "1"},
    ],
    ids=str,
)
def test_wrong_members_are_refused(
    socket: Socket, body_format: Format, members: dict[str, Any]
) -> None:
    """With error 1100 and the id, and nothing is called."""
    socket.send({"id": 7, **members}, body_format)
    answer = socket.receive()

    assert answer.keys() == {"id", "error"}
    assert answer["id"] == 7
    assert answer["error"]["code"] == 1100
    assert socket.result("echo", 1) == 1


@pytest.mark.parametrize("message", [{"cancel": True}, {"credit": 5}])
def test_flow_without_an_id_is_refused(socket: Socket, message: dict[str, Any]) -> None:
    """Nobody can tell which call is meant."""
    socket.send(message)

    assert socket.receive()["error"]["code"] == 1100
    assert socket.result("echo", 1) == 1


@pytest.mark.parametrize("message", [{}, {"id": 1}, {"id": 1, "parameters": {}}])
def test_a_message_that_says_nothing_is_refused(socket: Socket, message: dict[str, Any]) -> None:
    """It calls nothing: the method is missing."""
    socket.send(message)
    answer = socket.receive()

    assert answer.get("id") == message.get("id")
    assert answer["error"]["code"] in {1002, 1100}
    assert socket.result("echo", 1) == 1


def test_a_message_far_too_long_gets_its_close_code(sockets: Cluster) -> None:
    """The client still writes when it is refused, and learns why all the same."""
    with open_socket(sockets) as socket:
        socket.send_data("x" * 20_000_000)

        assert socket.close_code() == 1009


# -- parameters


@pytest.mark.parametrize(
    "body",
    [
        {"method": "echo", "parameters": {"a": 1}},
        {"method": "echo", "parameters": []},
        {"method": "echo", "parameters": [1, [2]]},
        {"method": "echo", "parameters": "text"},
        {"method": "echo", "parameters": 1.5},
        {"method": "echo", "parameters": False},
        {"method": "echo", "parameters": None},
        {"method": "echo"},
        {"method": "echo", "user": "ada", "list": [1]},
        {"method": "text.count", "text": "to be or not"},
        {"method": "text/count", "text": "to be"},
        {"method": "/echo"},
        {"method": ""},
        {"method": "_hidden"},
        {"method": "no.such"},
        {"method": "x" * 200},
        {"method": "echo.invoke"},
        {"method": None},
        {"method": 5},
        {"method": ["echo"]},
        {"method": {"echo": 1}},
        {"method": "text.count", "parameters": {}},
        {"method": "contract.decorated", "parameters": {}},
        {"method": "contract.values", "parameters": {"name": "set"}},
        {"method": "unserialisable", "parameters": {}},
        {"method": "typed.search", "parameters": {"text": 5}},
        {"method": "nothing", "parameters": {}},
        {"method": "contract.raises", "parameters": {"kind": "unfit"}},
        {"method": "contract.raises", "parameters": {"kind": "special", "code": 5, "value": [1]}},
        {"method": "session.secret", "parameters": {}},
        {"batch": {"a": member("echo", a=1), "b": {"method": "echo", "x": 1}, "c": 5}},
        {"batch": {}},
        {"batch": {"a": member("styles.raw", kind="bytes")}},
    ],
    ids=str,
)
@both_kinds
def test_a_message_means_what_it_means_over_http(
    sockets: Cluster, body_format: Format, body: dict[str, Any]
) -> None:
    """The same object posted and sent has the same answer, errors of every kind among them."""
    headers = {"x-request-id": "the-same"}
    response = sockets.post(body, headers=headers, body_format=body_format)
    with open_socket(sockets, headers=headers) as socket:
        socket.send({**body, "request_id": "the-same"}, body_format)
        answer = socket.receive()

    if isinstance(answer.get("result"), dict):
        answer["result"].pop("request_id", None)
    assert answer == body_format.loads(response.body)


def test_without_parameters_the_whole_object_is_the_parameters(socket: Socket) -> None:
    """As over HTTP, the id and the method among them."""
    socket.send({"id": 1, "method": "echo", "user": "ada"})

    assert socket.receive() == {"id": 1, "result": {"id": 1, "method": "echo", "user": "ada"}}


def test_lone_surrogates_harm_nobody(sockets: Cluster, socket: Socket) -> None:
    """JSON can escape what UTF-8 cannot carry; whatever HTTP says of it, a socket says too."""
    body = '{"method": "echo", "parameters": {"a": "\\ud800"}}'
    response = sockets.send("POST", "/", {"Content-Type": "application/json"}, body.encode())

    socket.send_data(body)
    answer = socket.receive()

    assert answer.keys() == response.json().keys()
    assert socket.result("echo", 1) == 1
