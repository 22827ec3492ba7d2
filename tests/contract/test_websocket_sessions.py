"""Sessions over WebSockets: where they come from (sections 5 and 8)."""

from typing import Any
from urllib.parse import quote

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.fixtures import Gate
from toto_testkit.formats import JSON, MSGPACK, Format
from toto_testkit.sessions import Client, new_client
from toto_testkit.waiting import poll_until
from toto_testkit.websocket import Socket, open_raw, open_socket, text

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

both_kinds = pytest.mark.parametrize("body_format", [JSON, MSGPACK], ids=["text", "binary"])
UNKNOWN_ID = "AAAAAAAAAAAAAAAAAAAAAA"
NOT_AUTHORIZED = {"error": {"code": 1004, "value": "Not authorized"}}


# -- where a session comes from


def test_nobody_is_refused(stranger: Socket) -> None:
    """What needs a user is answered 1004; what does not, runs."""
    assert stranger.call("session.secret") == NOT_AUTHORIZED
    assert stranger.call("session.async_secret") == NOT_AUTHORIZED
    assert stranger.call("session.stream") == NOT_AUTHORIZED
    assert stranger.call("session.maybe") == {"result": None}
    assert stranger.call("session.whoami") == {"result": None}
    assert stranger.call("session.peek") == {"result": True}


@both_kinds
def test_the_header_of_the_handshake_is_the_credential(
    sessions: Cluster, client: Client, body_format: Format
) -> None:
    """Answers tell the session as over HTTP."""
    with open_socket(sessions, headers={"x-toto-session-id": client.session_id}) as socket:
        answer = socket.call("session.secret", {}, body_format)
        whoami = socket.call("session.whoami", {}, body_format)
        peek = socket.call("session.peek", {}, body_format)
        fails = socket.call("session.fails", {}, body_format)

    assert answer["result"] == f"for {client.user_id}"
    assert answer["session"].keys() == {"session_id", "expires", "user_id"}
    assert answer["session"]["session_id"] == client.session_id
    assert answer["session"]["user_id"] == client.user_id
    assert type(answer["session"]["expires"]) is float
    assert whoami["result"] == client.user_id
    assert peek == {"result": True}
    assert fails["error"]["code"] == 4242
    assert fails["session"]["user_id"] == client.user_id


@both_kinds
def test_the_end_of_a_stream_tells_the_session(
    sessions: Cluster, client: Client, body_format: Format
) -> None:
    """Its items do not."""
    with open_socket(sessions, headers={"x-toto-session-id": client.session_id}) as socket:
        socket.send({"id": 1, "method": "session.stream", "parameters": {}}, body_format)
        *items, end = socket.stream(1)

    assert items == [{"id": 1, "item": item} for item in (client.user_id, 0, 1)]
    assert end["session"]["session_id"] == client.session_id
    assert end.keys() == {"id", "end", "session"}


def test_a_batch_has_the_session_too(sessions: Cluster, client: Client) -> None:
    """It stands beside the batch."""
    with open_socket(sessions, headers={"x-toto-session-id": client.session_id}) as socket:
        socket.send({"batch": {"a": member("session.secret"), "b": member("session.maybe")}})
        answer = socket.receive()

    assert answer["batch"]["a"] == {"result": f"for {client.user_id}"}
    assert answer["batch"]["b"] == {"result": client.user_id}
    assert answer["session"]["user_id"] == client.user_id


@pytest.mark.parametrize("query", ["", "?a=1"])
def test_the_path_is_a_credential_as_with_toto(
    sessions: Cluster, client: Client, query: str
) -> None:
    """Methods do not see it, and no line of the log has it."""
    target = f"/websocket/{client.session_id}{query}"
    with open_socket(sessions, target) as socket:
        result = socket.result("session.secret")
        facts = socket.result("contract.facts")
        socket.call("fail", request_id="last-of-path")
    poll_until(lambda: "last-of-path" in sessions.output(), message="the log is written")

    assert result == f"for {client.user_id}"
    assert facts["uri"] == f"/websocket{query}"
    assert facts["path"] == "/websocket"
    assert client.session_id not in str(facts)
    assert client.session_id not in sessions.output()


def test_the_path_may_be_percent_encoded(sessions: Cluster, client: Client) -> None:
    """As any path."""
    encoded = "".join(f"%{ord(character):02x}" for character in client.session_id)
    with open_socket(sessions, f"/websocket/{encoded}") as socket:
        result = socket.result("session.secret")

    assert result == f"for {client.user_id}"
    assert encoded not in sessions.output()


@pytest.mark.parametrize(
    "credential",
    [UNKNOWN_ID, "x", "a" * 3000, "%00", "%ff%fe", "..", "null", "'", "%2f", "%zz", "toto:*"],
)
def test_a_bad_credential_is_no_credential(sessions: Cluster, credential: str) -> None:
    """In the path, in the header, or in a message: the socket opens and is nobody's."""
    headers = {"x-toto-session-id": credential}
    with open_raw(sessions, f"/websocket/{credential}") as by_path:
        assert by_path.call("session.secret", {}) == NOT_AUTHORIZED
        assert by_path.call("session.maybe", {}) == {"result": None}
    with open_raw(sessions, headers=headers) as by_header:
        assert by_header.call("session.secret", {}) == NOT_AUTHORIZED
    with open_socket(sessions) as by_message:
        assert by_message.call("session.secret", session_id=credential) == NOT_AUTHORIZED
        assert by_message.result("session.maybe") is None


def test_the_session_id_of_a_handshake_is_in_no_log(sessions: Cluster, client: Client) -> None:
    """Neither by header nor by message, whatever goes wrong."""
    session_id = client.session_id
    with open_socket(sessions, headers={"x-toto-session-id": session_id}) as socket:
        socket.result("session.secret")
        socket.send({"session_id": session_id})
        socket.receive()
        socket.send({"id": 1, "session_id": session_id, "headers": 5})
        socket.receive()
        socket.send_data(f'{{"session_id": "{session_id}"')
        socket.receive()
        socket.call("fail", session_id=session_id, request_id="last-of-header")
    with open_raw(sessions, f"/websocket/{session_id}") as broken:
        broken.send(b"\xff" * 10)
        broken.read_close()
    refused = sessions.get(f"/websocket/{session_id}", {"x-request-id": "refused-upgrade"})
    poll_until(lambda: "last-of-header" in sessions.output(), message="the log is written")

    assert refused.status == 426
    assert session_id.encode() not in refused.body
    assert session_id not in sessions.output()


# -- messages that change it


@both_kinds
@pytest.mark.parametrize("call_id", [None, "first", 0])
def test_a_message_can_bring_the_session(
    stranger: Socket, client: Client, body_format: Format, call_id: Any
) -> None:
    """It is answered with the session, and counts from then on."""
    ids = {} if call_id is None else {"id": call_id}
    stranger.send({**ids, "session_id": client.session_id}, body_format)
    answer = stranger.receive()

    assert answer.keys() == {*ids, "session"}
    assert answer.get("id") == call_id
    assert answer["session"].keys() == {"session_id", "expires", "user_id"}
    assert answer["session"]["session_id"] == client.session_id
    assert answer["session"]["user_id"] == client.user_id
    assert stranger.result("session.secret") == f"for {client.user_id}"


@pytest.mark.parametrize("nobody", [None, ""])
def test_a_message_can_end_the_use_of_a_session(
    stranger: Socket, client: Client, nobody: Any
) -> None:
    """``null`` and the empty text are no session; the session itself lives on."""
    assert stranger.result("session.secret", session_id=client.session_id)
    stranger.send({"id": 1, "session_id": nobody})

    assert stranger.receive() == {"id": 1, "session": None}
    assert stranger.call("session.secret") == NOT_AUTHORIZED
    assert client.call("session.secret").result == f"for {client.user_id}"
    assert stranger.result("session.secret", session_id=client.session_id)
    assert stranger.call("session.secret", session_id=nobody) == NOT_AUTHORIZED
    assert stranger.call("session.secret") == NOT_AUTHORIZED


def test_a_message_with_an_unknown_session_leaves_none(stranger: Socket, client: Client) -> None:
    """It is answered with null or an error, and the session before it does not count any more."""
    assert stranger.result("session.secret", session_id=client.session_id)
    stranger.send({"id": 1, "session_id": UNKNOWN_ID})
    answer = stranger.receive()

    if "error" in answer:
        assert answer["error"]["code"] in {1004, 1007}
    else:
        assert answer == {"id": 1, "session": None}
    assert stranger.call("session.secret") == NOT_AUTHORIZED


def test_a_call_can_bring_the_session(stranger: Socket, client: Client) -> None:
    """It counts for that call and all later ones."""
    assert (
        stranger.result("session.secret", session_id=client.session_id) == f"for {client.user_id}"
    )
    assert stranger.result("session.secret") == f"for {client.user_id}"
    stranger.send({"batch": {"k": member("session.secret")}})
    assert stranger.receive()["batch"] == {"k": {"result": f"for {client.user_id}"}}


def test_a_batch_can_bring_the_session(stranger: Socket, client: Client) -> None:
    """As a call does."""
    stranger.send({"batch": {"k": member("session.secret")}, "session_id": client.session_id})

    assert stranger.receive()["batch"] == {"k": {"result": f"for {client.user_id}"}}
    assert stranger.result("session.secret") == f"for {client.user_id}"


def test_calls_have_the_session_of_their_place_in_the_row(
    sessions: Cluster, stranger: Socket
) -> None:
    """Changes and calls that are sent at once do not overtake one another."""
    users = [new_client(sessions) for _ in range(3)]
    expected = {}
    for number in range(12):
        user = users[number % 3]
        if number % 2:
            stranger.send({"id": f"change {number}", "session_id": user.session_id})
            call = {"id": number, "method": "session.whoami"}
        else:
            call = {"id": number, "method": "session.whoami", "session_id": user.session_id}
        stranger.send(call)
        expected[number] = user.user_id
    received = [stranger.receive() for _ in range(18)]

    assert {m["id"]: m["result"] for m in received if "result" in m} == expected


def test_a_call_under_way_keeps_its_session(
    sessions: Cluster, stranger: Socket, client: Client, gate: Gate
) -> None:
    """Whatever the socket's session becomes meanwhile."""
    other = new_client(sessions)
    parameters = gate.parameters()
    call = {"id": 1, "method": "socket.gated_whoami", "parameters": parameters}
    stranger.send({**call, "session_id": client.session_id})
    gate.wait_started()
    assert stranger.result("session.whoami", session_id=other.session_id) == other.user_id
    gate.open()
    answer = stranger.receive_of(1)

    assert answer["result"] == client.user_id
    assert answer["session"]["user_id"] == client.user_id
    assert stranger.result("session.whoami") == other.user_id


def test_a_session_id_with_odd_characters_in_the_path_harms_nobody(sessions: Cluster) -> None:
    """More of the path than an id is no socket's path, or nobody's."""
    for rest in ("/a/b", "/" + quote("ü" * 50), "/%", "/;x", "//", "/"):
        with sessions.connect() as connection:
            connection.request("GET", f"/websocket{rest}", {"Connection": "close"})
            assert 200 <= connection.read_head().status < 500
    with open_raw(sessions) as socket:
        socket.send(text({"method": "echo", "parameters": 1}))
        assert socket.read_message() == {"result": 1}
