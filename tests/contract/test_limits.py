"""Requests the gateway refuses by their size or type: 1101 and 1102 (section 3)."""

from collections.abc import Iterator

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.formats import BSON, MSGPACK, Format, Upload, multipart
from toto_testkit.http import RawConnection, Response

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

BODY_LIMIT = 65_536
MEBIBYTE = 1_048_576


@pytest.fixture(scope="module")
def small_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for bodies up to 64 KiB, in no format but JSON and forms."""
    options = {"max_body_size": BODY_LIMIT, "msgpack_enabled": False, "bson_enabled": False}
    with Cluster(tmp_path_factory.mktemp("small"), workers=1, options=options) as started:
        yield started


def assert_refused(response: Response, status: int, code: int) -> None:
    """Check an error of the system that trying again cannot mend."""
    assert response.status == status
    assert response.content_type == "application/json"
    assert response.error["code"] == code
    assert response.error["request_id"] == response.headers["x-request-id"]
    assert response.error["retryable"] is False
    assert isinstance(response.error["value"], str)


def send_chunks(connection: RawConnection, size: int) -> None:
    """Upload a body of that size in chunks of 4 KiB."""
    connection.request("POST", "/echo", {"Transfer-Encoding": "chunked"})
    for _ in range(size // 4096):
        connection.send(b"1000\r\n" + b" " * 4096 + b"\r\n")
    connection.send(b"0\r\n\r\n")


def test_a_body_of_exactly_the_limit_is_served(small_cluster: Cluster) -> None:
    """The limit itself is allowed."""
    body = b'{"parameters": 1}'.ljust(BODY_LIMIT)

    response = small_cluster.send("POST", "/echo", {}, body)

    assert response.json() == {"result": 1}


@pytest.mark.parametrize("size", [BODY_LIMIT + 1, MEBIBYTE, 8 * MEBIBYTE])
def test_a_body_over_the_limit_is_refused(small_cluster: Cluster, size: int) -> None:
    """A client that sends the whole body before it listens can still read why it was refused."""
    with small_cluster.connect() as connection:
        connection.request("POST", "/echo", {}, b" " * size)

        assert_refused(connection.read_response(), 413, 1101)


@pytest.mark.parametrize("size", [2 * BODY_LIMIT, MEBIBYTE])
def test_a_chunked_body_over_the_limit_is_refused(small_cluster: Cluster, size: int) -> None:
    """The limit holds for bodies that do not tell their length, and the answer can be read."""
    with small_cluster.connect() as connection:
        send_chunks(connection, size)

        assert_refused(connection.read_response(), 413, 1101)


def test_a_body_is_refused_before_it_is_sent(small_cluster: Cluster) -> None:
    """The length alone is enough: a client that waits for leave never sends the body."""
    headers = {"Expect": "100-continue", "Content-Length": str(MEBIBYTE)}

    with small_cluster.connect() as connection:
        connection.request("POST", "/echo", headers)

        assert_refused(connection.read_response(), 413, 1101)


@pytest.mark.parametrize("size", [BODY_LIMIT + 1, 10**15, 2**63, 10**30])
def test_an_absurd_length_is_refused(small_cluster: Cluster, size: int) -> None:
    """No length makes the gateway wait or reserve memory."""
    with small_cluster.connect() as connection:
        connection.request("POST", "/echo", {"Content-Length": str(size)})

        assert connection.read_response().status in {400, 413}
    assert small_cluster.call("echo", 1).result == 1


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/octet-stream",
        "application/jsonp",
        "nonsense",
        "application/msgpack",
        "application/bson",
    ],
)
def test_a_format_that_is_not_enabled_is_refused(small_cluster: Cluster, content_type: str) -> None:
    """A content type the gateway does not read answers 415, before anything is decoded."""
    response = small_cluster.send("POST", "/echo", {"Content-Type": content_type}, b"{}")

    assert_refused(response, 415, 1102)


@pytest.mark.parametrize("body_format", [MSGPACK, BSON])
def test_a_format_can_be_switched_off(small_cluster: Cluster, body_format: Format) -> None:
    """A well-formed body of a format that is off is refused as well."""
    response = small_cluster.post({"method": "echo"}, body_format=body_format)

    assert_refused(response, 415, 1102)


def test_a_multipart_body_over_the_limit_is_refused(small_cluster: Cluster) -> None:
    """Files count towards the same limit."""
    upload = Upload("file", "big.bin", "application/octet-stream", b"\x00" * 2 * BODY_LIMIT)
    headers, body = multipart([], [upload])

    response = small_cluster.send("POST", "/upload", headers, body)

    assert_refused(response, 413, 1101)


def test_refused_clients_do_not_disturb_others(small_cluster: Cluster) -> None:
    """After many refusals, on many connections, a call is served at once."""
    connections = [small_cluster.connect() for _ in range(20)]
    for connection in connections:
        connection.request("POST", "/echo", {}, b" " * (2 * BODY_LIMIT))
    statuses = {connection.read_response().status for connection in connections}
    for connection in connections:
        connection.close()

    assert statuses == {413}
    assert small_cluster.call("echo", 1).result == 1
