"""Sessions that begin and end while a WebSocket is open (sections 5 and 8)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.fixtures import Gate, MakeCluster
from toto_testkit.sessions import PASSWORD, Client, new_client, new_user_id
from toto_testkit.waiting import poll_until
from toto_testkit.websocket import Socket, open_socket, serving_sockets

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

NOT_AUTHORIZED = {"error": {"code": 1004, "value": "Not authorized"}}


def login_of(client: Client) -> dict[str, str]:
    return {"user_id": client.user_id, "password": client.password}


# -- sessions that methods make and end


def test_a_login_makes_the_session_of_the_socket(stranger: Socket, client: Client) -> None:
    """Later calls are the user's; other sockets know nothing of it."""
    answer = stranger.call("account.login", login_of(client))

    assert answer["session"]["user_id"] == client.user_id
    assert answer["session"]["session_id"] == answer["result"]["session_id"]
    assert stranger.result("session.secret") == f"for {client.user_id}"
    assert stranger.result("session.counter") == 1
    assert stranger.result("session.counter") == 2
    with open_socket(client.cluster) as other:
        assert other.call("session.secret") == NOT_AUTHORIZED


def test_an_account_can_be_made_over_a_socket(stranger: Socket) -> None:
    """Its session is the socket's."""
    user_id = new_user_id()
    stranger.result("account.create", {"user_id": user_id, "password": PASSWORD})

    assert stranger.result("session.secret") == f"for {user_id}"


def test_a_failed_login_changes_nothing(stranger: Socket, client: Client) -> None:
    """The session before it stays."""
    stranger.send({"session_id": client.session_id})
    stranger.receive()
    wrong = {"user_id": client.user_id, "password": "wrong"}

    assert stranger.error("account.login", wrong)["code"] == 1005
    assert stranger.result("session.secret") == f"for {client.user_id}"


def test_a_login_in_a_batch_makes_the_session_too(stranger: Socket, client: Client) -> None:
    """When the batch has ended."""
    stranger.send({"batch": {"in": member("account.login", **login_of(client))}})
    assert stranger.receive()["session"]["user_id"] == client.user_id

    assert stranger.result("session.secret") == f"for {client.user_id}"


def test_a_second_login_ends_the_session_before_it(
    sessions: Cluster, stranger: Socket, client: Client
) -> None:
    """As over HTTP, where it was the one presented."""
    other = new_client(sessions)
    first = stranger.result("account.login", login_of(client))["session_id"]
    stranger.result("account.login", login_of(other))

    assert stranger.result("session.secret") == f"for {other.user_id}"
    headers = {"x-toto-session-id": first}
    assert sessions.call("session.secret", headers=headers).error["code"] == 1004


def test_a_logout_ends_the_session_of_the_socket(stranger: Socket, client: Client) -> None:
    """And the session itself."""
    session_id = stranger.result("account.login", login_of(client))["session_id"]

    assert stranger.result("account.logout") == {"authenticated": False}
    assert stranger.call("session.secret") == NOT_AUTHORIZED
    assert stranger.call("session.maybe") == {"result": None}
    headers = {"x-toto-session-id": session_id}
    assert client.cluster.call("session.secret", headers=headers).error["code"] == 1004


def test_an_anonymous_session_stays_with_the_socket(stranger: Socket) -> None:
    """A method that makes one for strangers finds it again."""
    counts = [stranger.result("session.anon")["count"] for _ in range(3)]

    assert counts == [1, 2, 3]
    assert stranger.call("session.secret") == NOT_AUTHORIZED


# -- sessions that end elsewhere


def test_a_logout_elsewhere_counts_at_the_next_call(sessions: Cluster, client: Client) -> None:
    """On every socket of the session."""
    headers = {"x-toto-session-id": client.session_id}
    with open_socket(sessions, headers=headers) as one, open_socket(sessions) as two:
        assert one.result("session.secret") == f"for {client.user_id}"
        assert two.result("session.secret", session_id=client.session_id)
        assert client.call("account.logout").result == {"authenticated": False}

        assert one.call("session.secret") == NOT_AUTHORIZED
        assert two.call("session.secret") == NOT_AUTHORIZED


def test_the_end_of_all_sessions_of_a_user_counts(sessions: Cluster, client: Client) -> None:
    """As when a password was changed."""
    headers = {"x-toto-session-id": client.session_id}
    with open_socket(sessions, headers=headers) as socket:
        assert socket.result("session.secret") == f"for {client.user_id}"
        assert sessions.call("session.clear", {"user_id": client.user_id}).result is True

        assert socket.call("session.secret") == NOT_AUTHORIZED


def test_a_session_that_is_over_counts_no_more(make_cluster: MakeCluster, tmp_path: Path) -> None:
    """The socket stays open, and is nobody's."""
    cluster = make_cluster(
        workers=1,
        sqlite_path=str(tmp_path / "t.db"),
        session_ttl=2,
        session_max_lifetime=2,
        use_web_sockets=True,
    )
    client = new_client(cluster)
    with open_socket(cluster, headers={"x-toto-session-id": client.session_id}) as socket:
        assert socket.result("session.secret") == f"for {client.user_id}"

        poll_until(lambda: socket.call("session.secret") == NOT_AUTHORIZED, 6.0, "it is over")
        assert socket.result("echo", 1) == 1


# -- what else belongs to sessions


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Sessions whose state travels in the id; few attempts to log in; a proxy in front."""
    directory = tmp_path_factory.mktemp("socket-tokens")
    options: dict[str, Any] = {
        "sqlite_path": str(directory / "t.db"),
        "threads": 4,
        "startup_function": "toto_test_app.startup.client_cache",
        "login_attempts": 3,
        "login_attempts_per_address": 0,
        "trusted_proxies": "127.0.0.1",
    }
    with serving_sockets(directory, **options) as started:
        yield started


def test_the_socket_follows_a_session_whose_id_changes(tokens: Cluster) -> None:
    """As clients over HTTP do: what a method has saved, the next call finds."""
    client = new_client(tokens)
    with open_socket(tokens, headers={"x-toto-session-id": client.session_id}) as socket:
        answers = [socket.call("session.counter") for _ in range(3)]

        assert [answer["result"] for answer in answers] == [1, 2, 3]
        assert len({answer["session"]["session_id"] for answer in answers}) == 3
        assert socket.result("account.logout") == {"authenticated": False}
        assert socket.call("session.secret") == NOT_AUTHORIZED


def test_an_answer_of_the_session_before_changes_nothing(tokens: Cluster, gate: Gate) -> None:
    """When a call ends that began before the socket had another session."""
    client, other = new_client(tokens), new_client(tokens)
    with open_socket(tokens, headers={"x-toto-session-id": client.session_id}) as socket:
        call = {"id": 1, "method": "socket.gated_counter", "parameters": gate.parameters()}
        socket.send(call)
        gate.wait_started()
        socket.send({"id": 2, "session_id": other.session_id})
        assert socket.receive()["session"]["user_id"] == other.user_id
        gate.open()
        answer = socket.receive()

        assert answer["session"]["user_id"] == client.user_id
        assert socket.result("session.whoami") == other.user_id


def test_logins_are_throttled_over_sockets_too(tokens: Cluster) -> None:
    """On all sockets together, and together with those over HTTP."""
    client = new_client(tokens)
    wrong = {"user_id": client.user_id, "password": "wrong"}
    codes = []
    for _ in range(2):
        with open_socket(tokens) as socket:
            codes += [socket.error("account.login", wrong)["code"] for _ in range(3)]

    assert codes == [1005, 1005, 1005, 1103, 1103, 1103]
    assert tokens.call("account.login", login_of(client)).error["code"] == 1103


def test_a_trusted_proxy_tells_the_address(tokens: Cluster) -> None:
    """As over HTTP."""
    with open_socket(tokens, headers={"X-Forwarded-For": "192.0.2.7"}) as socket:
        assert socket.result("contract.facts")["remote_ip"] == "192.0.2.7"
