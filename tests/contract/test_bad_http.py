"""Bytes that are no HTTP, and lengths that lie: refused, closed, and life goes on."""

from collections.abc import Iterator

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.http import RawConnection, Response, request_bytes

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

GOOD = b'{"method": "echo", "parameters": {"a": 1}}'


@pytest.fixture(autouse=True)
def still_serving(cluster: Cluster) -> Iterator[None]:
    """After each bad request the same processes answer a good one."""
    before = cluster.worker_pids() | cluster.gateway_pids()
    yield
    assert cluster.call("echo", {"a": 1}).result == {"a": 1}
    assert cluster.worker_pids() | cluster.gateway_pids() == before


def assert_malformed(response: Response) -> None:
    """Check the contract's error for a request whose framing lies."""
    assert response.status == 400
    assert response.error["code"] == 1100
    assert response.error["retryable"] is False


def test_a_body_shorter_than_its_length_calls_nothing(cluster: Cluster) -> None:
    """When the client ends too early it gets 1100 or nothing, and no method runs."""
    with cluster.connect() as connection:
        connection.request("POST", "/", {"Content-Length": "1000"}, GOOD)
        connection.half_close()
        answer = connection.read_to_end()

    assert b'"result"' not in answer
    assert answer == b"" or (answer.startswith(b"HTTP/1.1 400") and b"1100" in answer)


def test_a_client_that_leaves_in_its_body_is_forgotten(cluster: Cluster) -> None:
    """A connection reset half way through a body is nobody's error."""
    for _ in range(20):
        connection = cluster.connect()
        connection.request("POST", "/", {"Content-Length": "1000"}, GOOD)
        connection.reset()


def test_a_body_longer_than_its_length_is_cut(cluster: Cluster) -> None:
    """The method gets what the length says; the rest is no request and gets no result."""
    cut = str(len(GOOD) - 1)

    with cluster.connect() as connection:
        connection.request("POST", "/", {"Content-Length": cut}, GOOD)
        assert_malformed(connection.read_response())
        connection.half_close()
        rest = connection.read_to_end()

    assert rest == b"" or rest.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param("Content-Length: -1", id="negative"),
        pytest.param("Content-Length: 4x", id="no-number"),
        pytest.param("Content-Length: 0x2a", id="hexadecimal"),
        pytest.param("Content-Length: 4 2", id="two-words"),
        pytest.param("Content-Length: 42\r\nContent-Length: 41", id="two-lengths"),
        pytest.param("Content-Length: 42\r\nTransfer-Encoding: chunked", id="length-and-chunks"),
        pytest.param("Transfer-Encoding: chunked, nonsense", id="unknown-encoding"),
    ],
)
def test_a_length_that_contradicts_itself_is_refused(cluster: Cluster, headers: str) -> None:
    """Where two readers could see two requests nobody sees any, and the connection ends."""
    head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n\r\n".encode()

    with cluster.connect() as connection:
        connection.send(head + GOOD)
        assert_malformed(connection.read_response())

        assert connection.read_to_end() == b""


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"zz\r\n{}\r\n0\r\n\r\n", id="no-number"),
        pytest.param(b"-2\r\n{}\r\n0\r\n\r\n", id="negative"),
        pytest.param(b"1\r\n{}\r\n0\r\n\r\n", id="too-short"),
        pytest.param(b"ffffffffffffffffff\r\n{}\r\n0\r\n\r\n", id="too-large"),
    ],
)
def test_a_chunk_whose_size_lies_is_refused(cluster: Cluster, body: bytes) -> None:
    """A broken chunk ends the request and the connection."""
    with cluster.connect() as connection:
        connection.request("POST", "/echo", {"Transfer-Encoding": "chunked"}, body)
        answer = connection.read_to_end()

    assert answer.startswith(b"HTTP/1.1 4")
    assert b'"result"' not in answer


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x00\x01\x02\x03\r\n\r\n", id="zeros"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 80, id="tls"),
        pytest.param(b"nonsense\r\n\r\n", id="one-word"),
        pytest.param(b"GET /echo\r\n\r\n", id="no-version"),
        pytest.param(b"GET /echo HTTP/9.9\r\nHost: a\r\n\r\n", id="other-version"),
        pytest.param(b"GET /echo HTTP/1.1\r\nHo st: a\r\n\r\n", id="blank-in-name"),
        pytest.param(b"GET /echo HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", id="nul-in-value"),
        pytest.param(b"GET /echo HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", id="no-colon"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="http-2"),
    ],
)
def test_what_is_no_http_is_refused(cluster: Cluster, data: bytes) -> None:
    """The connection ends after a 4xx answer or without one."""
    with cluster.connect() as connection:
        connection.send(data)
        connection.half_close()
        answer = connection.read_to_end()

    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/1.1 505"))


@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param(request_bytes("GET", "/" + "a" * 200_000), id="target"),
        pytest.param(request_bytes("GET", "/echo", {"X": "a" * 200_000}), id="one-header"),
        pytest.param(
            request_bytes("GET", "/echo", {f"X-{n}": "a" * 100 for n in range(2000)}), id="many"
        ),
    ],
)
def test_a_head_that_is_too_large_is_refused(cluster: Cluster, request_head: bytes) -> None:
    """Headers have a limit as bodies have."""
    with cluster.connect() as connection:
        send_what_is_taken(connection, request_head)
        answer = connection.read_to_end()

    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


def send_what_is_taken(connection: RawConnection, data: bytes) -> None:
    """Send until the server closes, which it may do before all is sent."""
    try:
        connection.send(data)
        connection.half_close()
    except OSError:
        return


def test_idle_connections_cost_nobody_anything(cluster: Cluster) -> None:
    """Two hundred clients that say nothing, or half a line, do not keep others waiting."""
    connections = [cluster.connect() for _ in range(200)]
    for connection in connections[::2]:
        connection.send(b"POST / HT")

    results = [cluster.call("echo", number).result for number in range(10)]
    for connection in connections:
        connection.close()

    assert results == list(range(10))
