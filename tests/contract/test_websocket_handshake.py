"""How a connection becomes a WebSocket, and when it does not (RFC 6455, section 4)."""

from collections.abc import Iterator

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.http import ConnectionEnded, Response, request_bytes
from toto_testkit.websocket import (
    HANDSHAKE,
    KEY,
    Opcode,
    RawSocket,
    frame,
    handshake,
    open_raw,
    open_socket,
    text,
)

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

ECHO = {"method": "echo", "parameters": 1}


@pytest.fixture(autouse=True)
def _still_served(sockets: Cluster) -> Iterator[None]:
    """After each test a new socket works."""
    yield
    with open_raw(sockets) as socket:
        assert socket.call("echo", 1) == {"result": 1}


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in HANDSHAKE.items() if name not in names}


def knock(
    cluster: Cluster,
    headers: dict[str, str],
    verb: str = "GET",
    target: str = "/websocket",
    body: bytes | None = None,
) -> Response:
    """Send what may be a handshake and return the answer; 101 has no body."""
    with RawSocket(cluster.port) as connection:
        connection.request(verb, target, headers, body)
        head = connection.read_head()
        if head.status == 101:
            return Response(head.status, head.headers, b"")
        size = int(head.headers.get("content-length", 0)) if verb != "HEAD" else 0
        return Response(head.status, head.headers, connection.read_exactly(size))


def assert_refused(response: Response, *statuses: int) -> None:
    """Check a refusal that the gateway makes: a status, an envelope, a request id."""
    assert response.status in statuses
    assert response.error["code"] == 1100
    assert response.error["value"]
    assert response.headers["x-request-id"]
    assert "sec-websocket-accept" not in response.headers


# -- what opens a socket


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Connection": "upgrade"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "keep-alive,UPGRADE , x"},
        {"Upgrade": "WebSocket"},
        {"Upgrade": "WEBSOCKET"},
        {"Host": "localhost"},
        {"Sec-WebSocket-Protocol": "chat, superchat"},
        {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
        {"Sec-WebSocket-Extensions": "x-unknown, permessage-deflate"},
        {"Content-Length": "0"},
        {"Accept": "text/html", "Cookie": "a=b", "Cache-Control": "no-cache"},
        {"X-Long": "x" * 8000},
    ],
    ids=str,
)
def test_a_handshake_opens_a_socket(sockets: Cluster, headers: dict[str, str]) -> None:
    """No protocol and no extension is chosen, whatever was offered."""
    with open_raw(sockets, headers=headers) as socket:
        answer = socket.call("echo", {"a": 1})
        names = socket.handshake_headers.keys()

    assert answer == {"result": {"a": 1}}
    assert "x-request-id" in names
    assert not {"sec-websocket-extensions", "sec-websocket-protocol", "content-length"} & names


def test_compression_is_not_negotiated(sockets: Cluster) -> None:
    """A client that offers it sends and gets plain messages; a compressed one breaks the rules."""
    with open_socket(sockets, compression="deflate") as socket:
        assert "sec-websocket-extensions" not in socket.handshake_headers
        assert socket.result("echo", "x" * 5000) == "x" * 5000
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    with open_raw(sockets, headers=offer) as raw:
        raw.send(frame(Opcode.TEXT, b"\xaa\xae\x05\x00", reserved=4))
        assert raw.read_close() == 1002


def test_frames_may_stand_right_behind_the_handshake(sockets: Cluster) -> None:
    """They are taken as frames: a client need not wait for the answer."""
    with RawSocket(sockets.port) as socket:
        socket.shake_hands(behind=text({"id": 1, **ECHO}) + text({"id": 2, **ECHO}))
        answers = [socket.read_message(), socket.read_message()]

    assert sorted(answer["id"] for answer in answers) == [1, 2]


def test_a_handshake_may_arrive_byte_by_byte(sockets: Cluster) -> None:
    """So may frames."""
    data = handshake() + text(ECHO)
    with RawSocket(sockets.port) as socket:
        for position in range(len(data)):
            socket.send(data[position : position + 1])
        socket.read_switch()
        assert socket.read_message() == {"result": 1}


@pytest.mark.parametrize("is_pipelined", [False, True])
def test_a_connection_that_has_served_calls_can_become_a_socket(
    sockets: Cluster, is_pipelined: bool
) -> None:
    """Answers come in order: calls first, then the switch, then frames."""
    calls = [request_bytes("GET", "/sleep?seconds=0.1"), request_bytes("GET", "/echo?a=1")]
    with RawSocket(sockets.port) as socket:
        if is_pipelined:
            socket.send(b"".join(calls) + handshake() + text(ECHO))
            results = [socket.read_response("GET").result for _ in calls]
        else:
            results = []
            for call in calls:
                socket.send(call)
                results.append(socket.read_response("GET").result)
            socket.send(handshake() + text(ECHO))
        socket.read_switch()

        assert results == ["0.1", {"a": "1"}]
        assert socket.read_message() == {"result": 1}


def test_a_refused_connection_can_serve_calls(sockets: Cluster) -> None:
    """Or it is closed; nothing else."""
    with RawSocket(sockets.port) as connection:
        connection.request("GET", "/websocket", without("Sec-WebSocket-Key"))
        assert connection.read_response("GET").status == 400
        try:
            connection.request("GET", "/echo?a=1")
            response = connection.read_response("GET")
        except (ConnectionEnded, OSError):
            response = None

    assert response is None or response.result == {"a": "1"}


# -- what does not


@pytest.mark.parametrize(
    "headers",
    [
        {},
        without("Connection"),
        without("Upgrade"),
        {**HANDSHAKE, "Connection": "keep-alive"},
        {**HANDSHAKE, "Connection": "xupgrade"},
        {**HANDSHAKE, "Upgrade": "h2c"},
        {**HANDSHAKE, "Upgrade": "websocketx"},
    ],
    ids=str,
)
def test_a_get_that_is_no_upgrade_is_told_to_be_one(
    sockets: Cluster, headers: dict[str, str]
) -> None:
    """426 with ``Upgrade: websocket``."""
    response = knock(sockets, headers)

    assert_refused(response, 426)
    assert response.headers["upgrade"].lower() == "websocket"
    assert "upgrade" in response.headers["connection"].lower()


@pytest.mark.parametrize("version", ["12", "14", "8", "0", "013", "13, 8", "x", ""])
def test_another_version_is_told_which_one_to_speak(sockets: Cluster, version: str) -> None:
    """426 with ``Sec-WebSocket-Version: 13``; what is no version at all may be a bad request."""
    response = knock(sockets, {**HANDSHAKE, "Sec-WebSocket-Version": version})

    assert_refused(response, 426, *([] if version.isdigit() else [400]))
    if response.status == 426:
        assert response.headers["sec-websocket-version"] == "13"
        assert response.headers["upgrade"].lower() == "websocket"


@pytest.mark.parametrize(
    "headers",
    [
        without("Sec-WebSocket-Key"),
        {**HANDSHAKE, "Sec-WebSocket-Key": ""},
        {**HANDSHAKE, "Sec-WebSocket-Key": "x"},
        {**HANDSHAKE, "Sec-WebSocket-Key": KEY[:-4]},
        {**HANDSHAKE, "Sec-WebSocket-Key": "A" * 24},
        {**HANDSHAKE, "Sec-WebSocket-Key": KEY * 2},
        {**HANDSHAKE, "Sec-WebSocket-Key": "!" + KEY[1:]},
        {**HANDSHAKE, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSB ub25jZQ="},
        {**HANDSHAKE, "Sec-WebSocket-Key": "\xfc" * 24},
        {**HANDSHAKE, "Sec-WebSocket-Key": KEY, "sec-websocket-key": KEY},
        {**HANDSHAKE, "Sec-WebSocket-Key": KEY, "SEC-WEBSOCKET-KEY": "A" * 22 + "=="},
    ],
    ids=str,
)
def test_a_broken_handshake_is_a_bad_request(sockets: Cluster, headers: dict[str, str]) -> None:
    """400: the key must be there once, and be sixteen bytes."""
    assert_refused(knock(sockets, headers), 400)


def test_a_handshake_without_a_version_is_refused(sockets: Cluster) -> None:
    """As a bad request, or by being told which one to speak."""
    assert_refused(knock(sockets, without("Sec-WebSocket-Version")), 400, 426)


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
def test_only_a_get_opens_a_socket(sockets: Cluster, verb: str) -> None:
    """Other verbs never do, upgrade or not."""
    for headers in ({}, HANDSHAKE):
        response = knock(sockets, headers, verb, body=b"{}" if verb == "POST" else None)

        assert 200 <= response.status < 500


def test_http_1_0_opens_no_socket(sockets: Cluster) -> None:
    """It knows no upgrade."""
    request = handshake().replace(b"HTTP/1.1", b"HTTP/1.0")
    with RawSocket(sockets.port) as connection:
        connection.send(request)
        head = connection.read_head()

    assert 400 <= head.status < 600
    assert head.status != 500


@pytest.mark.parametrize(
    "headers", [{"Content-Length": "5"}, {"Transfer-Encoding": "chunked"}], ids=str
)
def test_a_body_is_never_taken_for_frames(sockets: Cluster, headers: dict[str, str]) -> None:
    """A handshake that has one is refused, or its body is passed over."""
    body = b"0\r\n\r\n" if "Transfer-Encoding" in headers else b"\x81\x80\x00\x00\x00"
    with RawSocket(sockets.port) as connection:
        connection.send(handshake(headers=headers) + body)
        head = connection.read_head()
        if head.status == 101:
            assert connection.call("echo", 1) == {"result": 1}
        else:
            assert 400 <= head.status < 500


def test_headers_have_a_limit(sockets: Cluster) -> None:
    """That of every request, 16 KiB: it is refused, or the connection ends."""
    with RawSocket(sockets.port) as connection:
        connection.send(handshake(headers={"X-Long": "x" * 17 * 1024}))
        answer = connection.read_to_end()

    assert not answer or answer.startswith(b"HTTP/1.1 4")


# -- where sockets are


@pytest.mark.parametrize("target", ["/websocketx", "/websocket.x", "/x/websocket"])
def test_another_path_is_an_ordinary_url(sockets: Cluster, target: str) -> None:
    """The name of a method, which is not there."""
    response = knock(sockets, HANDSHAKE, target=target)

    assert response.status == 200
    assert response.error["code"] == 1001


@pytest.mark.parametrize("target", ["/WebSocket/a-session-id", "//websocket/a-session-id"])
def test_another_spelling_of_the_path_is_refused(sockets: Cluster, target: str) -> None:
    """As a name of a method, what may be a session id would be logged."""
    response = knock(sockets, HANDSHAKE, target=target)

    assert response.status == 404
    assert response.error["code"] == 1100
    assert "a-session-id" not in sockets.output()


def test_without_the_option_the_path_is_an_ordinary_url(cluster: Cluster) -> None:
    """A method of that name could be called."""
    response = knock(cluster, HANDSHAKE)

    assert response.status == 200
    assert response.json() == {"error": {"code": 1001, "value": "Cannot call 'websocket'."}}


def test_the_path_can_be_chosen(odd_sockets: Cluster) -> None:
    """It stands below ``root``; methods are where they were."""
    with open_raw(odd_sockets, "/api/live?a=1") as socket:
        facts = socket.call("contract.facts", {})["result"]
    with open_raw(odd_sockets, "/api/live/AAAAAAAAAAAAAAAAAAAAAA") as socket:
        assert socket.call("echo", 1) == {"result": 1}

    assert (facts["uri"], facts["path"]) == ("/api/live?a=1", "/api/live")
    assert odd_sockets.get("/api/echo?a=1").result == {"a": "1"}
    assert knock(odd_sockets, HANDSHAKE, target="/live").status != 101
    assert knock(odd_sockets, HANDSHAKE, target="/websocket").status != 101
    assert knock(odd_sockets, HANDSHAKE, target="/api/websocket").error["code"] == 1001
