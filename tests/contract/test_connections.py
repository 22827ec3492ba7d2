"""Connections: kept, closed, and shared by requests sent ahead."""

import json

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.formats import json_lines
from toto_testkit.http import request_bytes

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


def call_bytes(method: str, **parameters: object) -> bytes:
    body = json.dumps({"method": method, "parameters": parameters}).encode()
    return request_bytes("POST", "/", {"Content-Type": "application/json"}, body)


def test_a_connection_serves_many_requests(cluster: Cluster) -> None:
    """HTTP/1.1 connections stay open, after results and after errors."""
    with cluster.connect() as connection:
        answers = []
        for method in ("echo", "nosuch", "fail", "nothing", "echo"):
            connection.send(call_bytes(method, a=1))
            answers.append(sorted(connection.read_response().json()))

    assert answers == [["result"], ["error"], ["error"], ["result"], ["result"]]


def test_pipelined_requests_are_answered_in_order(cluster: Cluster) -> None:
    """A slow first request holds back the answers of quick ones sent behind it, not the reverse."""
    requests = [call_bytes("sleep", seconds=0.3)]
    requests += [call_bytes("echo", number=number) for number in range(20)]

    with cluster.connect() as connection:
        connection.send(b"".join(requests))
        results = [connection.read_response().result for _ in requests]

    assert results == [0.3, *({"number": number} for number in range(20))]


def test_answers_of_every_kind_can_be_pipelined(cluster: Cluster) -> None:
    """A stream, a raw answer, an error and a preflight each end where the next begins."""
    requests = [
        ("GET", "/streams/numbers?count=2"),
        ("GET", "/raw/parts"),
        ("GET", "/nosuch"),
        ("HEAD", "/echo"),
        ("OPTIONS", "/echo"),
        ("GET", "/raw/page"),
        ("GET", "/echo?last=1"),
    ]

    with cluster.connect() as connection:
        connection.send(b"".join(request_bytes(verb, target) for verb, target in requests))
        answers = [connection.read_response(verb) for verb, _ in requests]

    assert json_lines(answers[0].body) == [{"result": 0}, {"result": 1}, {"end": True}]
    assert answers[1].body == b"one two three"
    assert answers[2].error["code"] == 1001
    assert answers[5].body == b"<p>\x00\xff</p>"
    assert answers[6].result == {"last": "1"}


def test_a_request_may_arrive_byte_by_byte(cluster: Cluster) -> None:
    """Where the network cuts a request does not matter."""
    request = call_bytes("echo", a=1)

    with cluster.connect() as connection:
        for position in range(len(request)):
            connection.send(request[position : position + 1])

        assert connection.read_response().result == {"a": 1}


def test_connection_close_is_obeyed(cluster: Cluster) -> None:
    """The gateway closes after the answer when the client asks for it."""
    with cluster.connect() as connection:
        connection.request("GET", "/echo?a=1", {"Connection": "close"})

        assert connection.read_response("GET").result == {"a": "1"}
        assert connection.read_to_end() == b""


def test_an_http_1_0_client_is_served(cluster: Cluster) -> None:
    """An old client gets the answer and then the end of the connection."""
    with cluster.connect() as connection:
        connection.send(b"GET /echo?a=1 HTTP/1.0\r\n\r\n")

        response = connection.read_response("GET")

        assert not response.is_chunked
        assert response.result == {"a": "1"}
        assert connection.read_to_end() == b""


def test_expect_100_continue_is_answered(cluster: Cluster) -> None:
    """A client that waits for leave to send its body, as curl does, gets it."""
    headers = {"Expect": "100-continue", "Content-Length": "23"}

    with cluster.connect() as connection:
        connection.request("POST", "/echo", headers)
        leave = connection.read_head(keep_continue=True)
        connection.send(b'{"parameters": {"a":1}}')

        assert leave.status == 100
        assert connection.read_response().result == {"a": 1}
