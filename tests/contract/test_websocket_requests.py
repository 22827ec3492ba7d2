"""What methods learn of their calls over WebSockets, and what only HTTP has."""

import json
import re
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.formats import JSON, MSGPACK, Format
from toto_testkit.waiting import poll_until
from toto_testkit.websocket import TIMEOUT_SECONDS, Socket, open_raw, open_socket

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

both_kinds = pytest.mark.parametrize("body_format", [JSON, MSGPACK], ids=["text", "binary"])


# -- what methods see


def test_the_request_is_that_of_the_handshake(sockets: Cluster) -> None:
    """Uri, query, headers and address; the formats are those of the message."""
    headers = {"X-Mine": "grün".encode().decode("latin-1"), "User-Agent": "tests"}
    with open_socket(sockets, "/websocket?a=1&b=%20x&b=2", headers) as socket:
        facts = socket.result("contract.facts", {"z": 1, "y": 2})
        binary = socket.call("contract.facts", {}, MSGPACK)["result"]

    assert facts["uri"] == "/websocket?a=1&b=%20x&b=2"
    assert facts["path"] == "/websocket"
    assert facts["query"] == {"a": ["1"], "b": [" x", "2"]}
    assert facts["headers"]["user-agent"] == "tests"
    assert "x-mine" in facts["headers"]
    assert facts["remote_ip"] == "127.0.0.1"
    assert facts["parameters"] == ["y", "z"]
    assert facts["headers_only"] is False
    assert facts["cancelled"] is False
    assert facts["session"] is None
    assert 0 < facts["seconds_left"] <= TIMEOUT_SECONDS
    assert facts["response_type"] == "application/json"
    assert binary["response_type"] == "application/msgpack"


def test_every_call_has_its_own_request_id(sockets: Cluster) -> None:
    """The handshake's, with a running number; the log has it."""
    with open_socket(sockets, headers={"x-request-id": "my-handshake"}) as socket:
        handshake_id = socket.handshake_headers["x-request-id"]
        ids = [socket.result("handler_facts")["request_id"] for _ in range(3)]
        error = socket.error("fail")
        refused = socket.error("session.secret")

    assert handshake_id == "my-handshake"
    assert all(re.fullmatch(r"my-handshake-\d+", request_id) for request_id in ids)
    numbers = [int(request_id.rpartition("-")[2]) for request_id in ids]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]
    assert error["value"] == f"Internal server error (my-handshake-{numbers[2] + 1})"
    assert refused["code"] == 1004
    poll_until(lambda: f"my-handshake-{numbers[2] + 1}" in sockets.output())


@pytest.mark.parametrize("given", [None, "", "\xfc", "x" * 129, "a b", "a\tb"])
def test_a_handshake_without_a_good_request_id_gets_one(
    sockets: Cluster, given: str | None
) -> None:
    """As over HTTP."""
    headers = {} if given is None else {"x-request-id": given}
    with open_raw(sockets, headers=headers) as socket:
        made = socket.handshake_headers["x-request-id"]
        request_id = socket.call("handler_facts", {})["result"]["request_id"]

    assert re.fullmatch(r"[!-~]{8,128}", made)
    assert request_id.startswith(f"{made}-")


@both_kinds
def test_a_call_may_name_its_request_id(socket: Socket, body_format: Format) -> None:
    """It is used as it is, if it is a good one; the next call has one of its own."""
    named = socket.call("handler_facts", {}, body_format, request_id="mine-1")
    longest = socket.call("handler_facts", {}, body_format, request_id="x" * 128)
    other = socket.call("handler_facts", {}, body_format)

    assert named["result"]["request_id"] == "mine-1"
    assert longest["result"]["request_id"] == "x" * 128
    assert other["result"]["request_id"].startswith(socket.handshake_headers["x-request-id"])


@pytest.mark.parametrize("given", ["", "x" * 129, "ü", "a\nb", "a b"])
def test_a_bad_request_id_is_not_taken(socket: Socket, given: str) -> None:
    """The check is that of the header: a made one takes its place."""
    answer = socket.call("handler_facts", request_id=given)

    made = answer["result"]["request_id"]
    assert made.startswith(socket.handshake_headers["x-request-id"])


def test_errors_of_the_system_carry_the_request_id(socket: Socket) -> None:
    """And whether to try again."""
    error = socket.error("limits.short", {"seconds": 20}, request_id="too-slow")

    assert error["code"] == 1106
    assert error["request_id"] == "too-slow"
    assert isinstance(error["retryable"], bool)


# -- what only HTTP has


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("styles.raw", {"kind": "bytes"}),
        ("styles.raw_coroutine", {}),
        ("styles.raw_later", {}),
        ("styles.raw_stream", {}),
        ("styles.raw_stream_async", {}),
        ("styles.redirect", {"to": "/x"}),
        ("styles.redirect", {"code": 404}),
        ("raw.page", {}),
        ("raw.parts", {}),
        ("socket.raw_later", {}),
    ],
)
@both_kinds
def test_what_only_http_has_is_an_error(
    sockets: Cluster,
    socket: Socket,
    method: str,
    parameters: dict[str, Any],
    body_format: Format,
) -> None:
    """Raw answers and redirects: the error is that of raw members of batches."""
    raw = sockets.batch({"k": member("styles.raw", kind="bytes")})["k"]

    answer = socket.call(method, parameters, body_format)

    assert answer == raw
    assert answer["error"]["code"] == 1000
    assert socket.is_quiet(0.05)
    assert socket.result("echo", 1) == 1


def test_a_script_is_an_error_too(sockets: Cluster, socket: Socket) -> None:
    """Only JSON can become one: a binary call has its result, as over HTTP."""
    raw = sockets.batch({"k": member("styles.raw", kind="bytes")})["k"]
    parameters = {"jsonp": "f", "a": 1}

    assert socket.call("styles.jsonp", parameters) == raw
    assert socket.call("styles.jsonp", parameters, MSGPACK) == {"result": {"a": 1}}
    assert socket.call("styles.jsonp", {"a": 1}) == {"result": {"a": 1}}


def test_status_and_headers_go_nowhere(socket: Socket) -> None:
    """The result stands."""
    assert socket.call("socket.dress", {"a": 1}) == {"result": {"a": 1}}


@pytest.mark.parametrize("method", ["contract.other_format", "contract.other_format_later"])
def test_an_answer_has_the_kind_of_its_call(socket: Socket, method: str) -> None:
    """Also where a method asks for another format."""
    socket.send({"id": 1, "method": method, "parameters": {"type": "application/msgpack"}})
    data = socket.receive_data()

    assert isinstance(data, str)
    assert json.loads(data)["id"] == 1


def test_each_call_has_a_line_in_the_access_log(sockets: Cluster) -> None:
    """Path without the query, method, code, time and address."""
    with open_socket(sockets, "/websocket?hidden=1") as socket:
        socket.call("echo", request_id="seen-1")
        socket.call("fail", {"code": 4242, "value": 1}, request_id="seen-2")
        socket.send({"id": 1, "method": "streams.numbers", "request_id": "seen-3"})
        socket.stream(1)

    def lines() -> list[str]:
        pattern = r"WS (\S+ \S+ \d+) [\d.]+ ms 127\.0\.0\.1\b.*request_id=seen-\d"
        return re.findall(pattern, sockets.output())

    poll_until(lambda: len(lines()) == 3, message="three lines in the log")
    assert sorted(lines()) == [
        "/websocket echo 0",
        "/websocket fail 4242",
        "/websocket streams.numbers 1000",
    ]
    assert "hidden=1" not in sockets.output()
