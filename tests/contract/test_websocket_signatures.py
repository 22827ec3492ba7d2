"""Signed sessions over WebSockets (sections 5 and 8)."""

from collections.abc import Iterator
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.sessions import (
    PASSWORD,
    UNLIMITED,
    V2,
    Client,
    hmac_v1,
    new_client,
    new_user_id,
    v1_headers,
)
from toto_testkit.websocket import Socket, open_raw, open_socket, serving_sockets

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

TARGET = "/websocket"
NOT_AUTHORIZED = {"error": {"code": 1004, "value": "Not authorized"}}


def options_of(directory: Any) -> dict[str, Any]:
    return {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "threads": 4,
        "hmac_enabled": True,
    }


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that wants signatures of scheme v1, which is the default."""
    directory = tmp_path_factory.mktemp("socket-signed")
    with serving_sockets(directory, **options_of(directory)) as started:
        yield started


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that wants signatures of scheme v2."""
    directory = tmp_path_factory.mktemp("socket-strict")
    options = {**options_of(directory), "hmac_scheme": "v2"}
    with serving_sockets(directory, **options) as started:
        yield started


def signed_headers(client: Client, target: str = TARGET) -> dict[str, str]:
    """Return the headers of a handshake as this client signs it, by its own scheme."""
    return client.headers("GET", target, b"")


def signature(client: Client, target: str = TARGET) -> dict[str, str]:
    """Return the headers that sign a handshake, without the session id."""
    headers = signed_headers(client, target)
    return {name: text for name, text in headers.items() if name != "x-toto-session-id"}


def assert_no_user(socket: Socket) -> None:
    """Check that a socket's session does not count."""
    assert socket.error("session.secret")["code"] in {1004, 1008}
    assert "session" not in socket.call("session.secret")
    assert socket.call("session.peek") == {"result": True}
    assert socket.result("echo", 1) == 1


# -- by the headers of the handshake


@pytest.mark.parametrize("query", ["", "?a=1&b=%20&%41", "?"])
def test_the_handshake_is_signed_as_a_get(signed: Cluster, query: str) -> None:
    """Over its uri as it was sent and an empty body; calls and answers carry no signature."""
    client = new_client(signed, "v1")
    with open_raw(signed, TARGET + query, signed_headers(client, TARGET + query)) as socket:
        answers = [socket.call("session.secret", {}) for _ in range(3)]
        whoami = socket.call("session.whoami", {})

    for answer in answers:
        assert answer.keys() == {"result", "session"}
        assert answer["result"] == f"for {client.user_id}"
        assert answer["session"]["user_id"] == client.user_id
    assert whoami["result"] == client.user_id


def test_the_session_of_the_path_is_signed_with_its_path(signed: Cluster) -> None:
    """The uri as it was sent has the session id in it."""
    client = new_client(signed, "v1")
    target = f"{TARGET}/{client.session_id}"
    with open_socket(signed, target, signature(client, target)) as socket:
        assert socket.result("session.secret") == f"for {client.user_id}"
    with open_socket(signed, target, signature(client)) as socket:
        assert_no_user(socket)


@pytest.mark.parametrize("verb", ["POST", "get", ""])
def test_another_verb_is_another_signature(signed: Cluster, verb: str) -> None:
    """Only ``GET`` is the verb of a handshake."""
    client = new_client(signed, "v1")
    headers = {
        "x-toto-session-id": client.session_id,
        "x-toto-hmac": hmac_v1(client.key, verb, TARGET, b""),
    }
    with open_socket(signed, headers=headers) as socket:
        assert_no_user(socket)


@pytest.mark.parametrize("given", [None, "", "AAAA", "x" * 28, "é"])
def test_a_wrong_signature_is_refused(signed: Cluster, given: str | None) -> None:
    """With error 1008 where a user is wanted; the session itself is not harmed."""
    client = new_client(signed, "v1")
    headers = {"x-toto-session-id": client.session_id}
    if given is not None:
        headers["x-toto-hmac"] = given.encode().decode("latin-1")
    with open_socket(signed, headers=headers) as socket:
        error = socket.error("session.secret")
        assert_no_user(socket)

    assert error["code"] == 1008
    assert client.call("session.secret").result == f"for {client.user_id}"


def test_the_key_of_another_session_signs_nothing(signed: Cluster) -> None:
    """Not even one of the same user."""
    client = new_client(signed, "v1")
    other = client.again()
    headers = {
        "x-toto-session-id": client.session_id,
        **v1_headers(other.key, "GET", TARGET, b""),
    }
    with open_socket(signed, headers=headers) as socket:
        assert_no_user(socket)


def test_a_socket_of_nobody_needs_no_signature(signed: Cluster) -> None:
    """What needs no user runs, and anonymous sessions are kept."""
    with open_socket(signed) as socket:
        assert socket.result("echo", 1) == 1
        assert socket.call("session.maybe") == {"result": None}
        assert [socket.result("session.anon")["count"] for _ in range(3)] == [1, 2, 3]


# -- by the first message


def test_a_message_can_bring_the_signature(signed: Cluster) -> None:
    """Browsers cannot set headers: the member stands for them."""
    client = new_client(signed, "v1")
    with open_socket(signed) as socket:
        socket.send({"session_id": client.session_id, "headers": signature(client)})
        answer = socket.receive()

        assert answer["session"]["user_id"] == client.user_id
        assert socket.result("session.secret") == f"for {client.user_id}"


def test_the_query_of_the_handshake_belongs_to_the_signature(signed: Cluster) -> None:
    """Of a message, too: it signs the uri as it was sent."""
    client = new_client(signed, "v1")
    target = f"{TARGET}?a=%41"
    message = {"session_id": client.session_id, "headers": signature(client, target)}
    with open_socket(signed, target) as socket:
        socket.send(message)
        assert socket.receive()["session"]["user_id"] == client.user_id
    with open_socket(signed) as socket:
        socket.send(message)
        assert socket.receive()["error"]["code"] == 1008
        assert_no_user(socket)


def test_a_call_can_bring_the_signature(signed: Cluster) -> None:
    """For itself and all later calls; names of headers may have any case."""
    client = new_client(signed, "v1")
    headers = {name.upper(): text for name, text in signature(client).items()}
    with open_socket(signed) as socket:
        first = socket.result("session.secret", session_id=client.session_id, headers=headers)

        assert first == f"for {client.user_id}"
        assert socket.result("session.secret") == f"for {client.user_id}"


@pytest.mark.parametrize("headers", [None, {}, {"x-toto-hmac": "AAAA"}, {"x-other": "x"}])
def test_a_message_without_the_right_signature_is_refused(
    signed: Cluster, headers: dict[str, str] | None
) -> None:
    """With error 1008, and the session of the socket is nobody's."""
    client = new_client(signed, "v1")
    extra = {} if headers is None else {"headers": headers}
    with open_socket(signed) as socket:
        socket.send({"id": 1, "session_id": client.session_id, **extra})
        answer = socket.receive()

        assert answer["id"] == 1
        assert answer["error"]["code"] == 1008
        assert "session" not in answer
        assert_no_user(socket)


def test_a_call_with_a_wrong_signature_is_refused(signed: Cluster) -> None:
    """With error 1008, where it needs its user."""
    client = new_client(signed, "v1")
    wrong = {"x-toto-hmac": "AAAA"}
    with open_socket(signed) as socket:
        error = socket.error("session.secret", session_id=client.session_id, headers=wrong)

        assert error["code"] == 1008
        assert_no_user(socket)


def test_a_refused_change_leaves_no_session_behind(signed: Cluster) -> None:
    """The session before it does not count any more either: the client has asked for another."""
    client, other = new_client(signed, "v1"), new_client(signed, "v1")
    with open_socket(signed, headers=signed_headers(client)) as socket:
        assert socket.result("session.secret") == f"for {client.user_id}"
        socket.send({"session_id": other.session_id, "headers": {"x-toto-hmac": "AAAA"}})
        socket.receive()

        answer = socket.call("session.secret")
        assert answer.get("result") != f"for {other.user_id}"


def test_a_login_needs_no_signature(signed: Cluster) -> None:
    """The password was enough: later calls are the user's."""
    user_id = new_user_id()
    account = {"user_id": user_id, "password": PASSWORD}
    with open_socket(signed) as socket:
        created = socket.result("account.create", account)
        assert socket.result("session.secret") == f"for {user_id}"
        assert socket.result("account.logout") == {"authenticated": False}
        assert socket.call("session.secret") == NOT_AUTHORIZED
        logged_in = socket.result("account.login", account)
        assert socket.result("session.secret") == f"for {user_id}"

    assert created["key"] != logged_in["key"]


# -- scheme v2


def test_v2_signs_the_handshake_once_for_all_calls(strict: Cluster) -> None:
    """With timestamp and nonce; the nonce is used up once, not by every call."""
    client = new_client(strict, "v2")
    with open_socket(strict, f"{TARGET}?q=1", signed_headers(client, f"{TARGET}?q=1")) as socket:
        results = [socket.result("session.secret") for _ in range(5)]

    assert results == [f"for {client.user_id}"] * 5


def test_v2_a_handshake_counts_once(strict: Cluster) -> None:
    """A replay opens a socket of nobody."""
    client = new_client(strict, "v2")
    headers = signed_headers(client)
    with open_socket(strict, headers=headers) as socket:
        assert socket.result("session.secret") == f"for {client.user_id}"
        with open_socket(strict, headers=headers) as replay:
            assert replay.error("session.secret")["code"] == 1008
            assert_no_user(replay)
        assert socket.result("session.secret") == f"for {client.user_id}"


def test_v2_signs_a_message(strict: Cluster) -> None:
    """Once: its replay, on this socket and on others, is refused."""
    client = new_client(strict, "v2")
    message = {"session_id": client.session_id, "headers": signature(client)}
    with open_socket(strict) as socket:
        socket.send(message)
        assert socket.receive()["session"]["user_id"] == client.user_id
        assert [socket.result("session.secret") for _ in range(3)] == [f"for {client.user_id}"] * 3
        with open_socket(strict) as other:
            other.send(message)
            assert other.receive()["error"]["code"] == 1008
            assert_no_user(other)
        socket.send(message)
        assert socket.receive()["error"]["code"] == 1008


@pytest.mark.parametrize("offset_seconds", [-1000, 1000])
def test_v2_an_old_signature_is_refused(strict: Cluster, offset_seconds: int) -> None:
    """The error tells by how much the clock is off."""
    client = new_client(strict, "v2")
    headers = V2(offset_seconds).headers(client.key, "GET", TARGET, b"", "")
    with open_socket(strict) as socket:
        socket.send({"session_id": client.session_id, "headers": headers})
        error = socket.receive()["error"]

    assert error["code"] == 1008
    assert abs(error["clock_offset_seconds"] - offset_seconds) <= 3


@pytest.mark.parametrize("missing", ["x-toto-hmac", "x-toto-timestamp", "x-toto-nonce"])
def test_v2_wants_all_its_headers(strict: Cluster, missing: str) -> None:
    """Whichever is missing."""
    client = new_client(strict, "v2")
    headers = signature(client)
    del headers[missing]
    with open_socket(strict) as socket:
        socket.send({"session_id": client.session_id, "headers": headers})

        assert socket.receive()["error"]["code"] == 1008
        assert_no_user(socket)


def test_v2_refuses_v1(strict: Cluster) -> None:
    """The weaker form is none where the stronger one is asked for."""
    client = new_client(strict, "v2")
    headers = {
        "x-toto-session-id": client.session_id,
        **v1_headers(client.key, "GET", TARGET, b""),
    }
    with open_socket(strict, headers=headers) as socket:
        assert_no_user(socket)
