"""Sessions as clients and methods see them (contract, sections 3 and 5)."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import Gate, InBackground
from toto_testkit.formats import BSON, JSON, MSGPACK, Format, json_lines, msgpack_values
from toto_testkit.http import Response
from toto_testkit.sessions import UNLIMITED, Client, new_client
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

NOT_AUTHORIZED = {"error": {"code": 1004, "value": "Not authorized"}}
UNKNOWN_ID = "AAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Unsigned sessions that last 1000 s, anonymous ones 500 s."""
    directory = tmp_path_factory.mktemp("sessions")
    options = {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "threads": 1,
        "session_ttl": 1000,
        "anon_session_ttl": 500,
        "bson_enabled": True,
    }
    with Cluster(directory, workers=2, options=options) as started:
        yield started


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Signed sessions that last 2 s from their last use, and 5 s in all."""
    directory = tmp_path_factory.mktemp("brief-sessions")
    options = {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "threads": 2,
        "session_ttl": 2,
        "anon_session_ttl": 1,
        "session_max_lifetime": 5,
        "hmac_enabled": True,
    }
    with Cluster(directory, workers=1, options=options) as started:
        yield started


def envelope(client: Client, method: str, **parameters: Any) -> Any:
    return client.call(method, **parameters).json()


def differing_headers(first: Response, second: Response) -> set[str]:
    names = first.headers.keys() | second.headers.keys()
    return {name for name in names if first.headers.get(name) != second.headers.get(name)}


# -- the envelope


def test_an_answer_tells_the_session_of_its_call(sessions: Cluster) -> None:
    """Id, end and user stand beside the result, and nothing else does."""
    client = new_client(sessions)
    presented = client.session_id

    answer = envelope(client, "session.secret")

    assert answer["result"] == f"for {client.user_id}"
    assert answer["session"].keys() == {"session_id", "expires", "user_id"}
    assert answer["session"]["session_id"] == presented
    assert answer["session"]["user_id"] == client.user_id
    assert type(answer["session"]["expires"]) is float
    assert abs(answer["session"]["expires"] - (time.time() + 1000)) < 15


@pytest.mark.parametrize(
    "method",
    ["session.whoami", "session.maybe", "session.async_secret", "session.anon", "session.counter"],
)
def test_every_way_to_get_the_session_puts_it_into_the_answer(
    sessions: Cluster, method: str
) -> None:
    """However a method came by its session, the answer tells it."""
    client = new_client(sessions)

    assert envelope(client, method)["session"]["user_id"] == client.user_id


@pytest.mark.parametrize("method", ["echo", "session.peek", "nothing", "session.leave"])
def test_an_answer_without_a_session_has_no_such_field(sessions: Cluster, method: str) -> None:
    """A method that never asked, or dropped its session, answers without, credential or not."""
    client = new_client(sessions)

    answer = envelope(client, method)

    assert answer.keys() == {"result"}


def test_an_undecorated_method_has_no_session_until_it_asks(sessions: Cluster) -> None:
    """The credential alone changes nothing; ``retrieve_session`` finds the user."""
    client = new_client(sessions)

    assert envelope(client, "session.peek")["result"] is True
    assert envelope(client, "session.whoami")["result"] == client.user_id
    assert sessions.call("session.whoami").json() == {"result": None}


def test_an_error_tells_the_session_too(sessions: Cluster) -> None:
    """A method that raises, foreseen or not, still had its session."""
    client = new_client(sessions)

    foreseen = envelope(client, "session.fails")
    unforeseen = envelope(client, "session.fails", unexpected=True)

    assert foreseen["error"] == {"code": 4242, "value": {"why": "asked"}}
    assert foreseen["session"]["user_id"] == client.user_id
    assert unforeseen["error"]["code"] == 1000
    assert "secret of the server" not in str(unforeseen)
    assert unforeseen["session"]["user_id"] == client.user_id


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
@pytest.mark.parametrize("method", ["session.secret", "session.fails"])
def test_every_format_tells_the_session(
    sessions: Cluster, body_format: Format, method: str
) -> None:
    """The same fields of the same types stand in JSON, msgpack and BSON."""
    client = new_client(sessions)

    response = client.post({"method": method, "parameters": {}}, body_format=body_format)

    session = body_format.loads(response.body)["session"]
    assert response.content_type == body_format.content_type
    assert session.keys() == {"session_id", "expires", "user_id"}
    assert (session["session_id"], session["user_id"]) == (client.session_id, client.user_id)
    assert type(session["expires"]) is float


def test_the_last_line_of_a_stream_tells_the_session(sessions: Cluster) -> None:
    """Items come without it, the end has it."""
    client = new_client(sessions)

    *items, end = json_lines(client.call("session.stream").body)

    assert items == [{"result": client.user_id}, {"result": 0}, {"result": 1}]
    assert end["end"] is True
    assert end["session"]["session_id"] == client.session_id
    assert end["session"]["user_id"] == client.user_id


def test_the_last_map_of_a_msgpack_stream_tells_the_session(sessions: Cluster) -> None:
    """What holds for lines holds for maps."""
    client = new_client(sessions)
    call = {"method": "session.stream", "parameters": {"count": 0}}

    *items, end = msgpack_values(client.post(call, body_format=MSGPACK).body)

    assert items == [{"result": client.user_id}]
    assert end["session"]["session_id"] == client.session_id


def test_a_stream_is_refused_before_it_begins(sessions: Cluster) -> None:
    """A stranger gets an ordinary error, not a stream that ends with one."""
    response = sessions.call("session.stream")

    assert response.content_type == "application/json"
    assert response.json() == NOT_AUTHORIZED


def test_a_raw_answer_is_the_methods_own(sessions: Cluster) -> None:
    """Bytes leave as they are, also for a user; there is no envelope to tell a session."""
    client = new_client(sessions)

    response = client.call("session.raw")

    assert response.content_type == "text/html"
    assert response.body == f"<p>{client.user_id}</p>".encode()


def test_a_get_call_has_a_session_too(sessions: Cluster) -> None:
    """The header counts whatever the verb."""
    client = new_client(sessions)

    response = client.send("GET", "/session/secret?a=1")

    assert response.result == f"for {client.user_id}"
    assert sessions.get("/session/secret").json() == NOT_AUTHORIZED


# -- who may call


@pytest.mark.parametrize(
    "credential",
    [
        UNKNOWN_ID,
        "x",
        "0",
        "null",
        "None",
        "\x80\xff",
        "a" * 3000,
        "../../../etc/passwd",
        "' OR '1'='1",
        "toto:*",
        "%00%0a",
        "e30.e30.e30",
    ],
)
def test_a_bad_credential_is_no_credential(sessions: Cluster, credential: str) -> None:
    """An unknown or malformed id gets the very answer of none at all."""
    bare = sessions.call("session.secret")

    refused = sessions.call("session.secret", headers={"x-toto-session-id": credential})

    assert bare.json() == NOT_AUTHORIZED
    assert (refused.status, refused.body) == (200, bare.body)
    assert differing_headers(refused, bare) <= {"x-request-id", "date"}
    headers = {"x-toto-session-id": credential}
    assert sessions.call("session.maybe", headers=headers).json() == {"result": None}
    assert sessions.call("session.whoami", headers=headers).json() == {"result": None}


def test_an_anonymous_session_is_no_user(sessions: Cluster) -> None:
    """It is refused where users are wanted, with the answer of no credential at all."""
    anonymous = sessions.call("session.anon").result
    headers = {"x-toto-session-id": anonymous["session_id"]}

    refused = sessions.call("session.secret", headers=headers)
    by_parameter = sessions.call("session.by_parameter", {"session_id": anonymous["session_id"]})

    assert refused.body == sessions.call("session.secret").body
    assert by_parameter.json() == NOT_AUTHORIZED


def test_an_ended_session_is_no_credential(sessions: Cluster) -> None:
    """After a logout the id gets the very answer of none at all."""
    client = new_client(sessions)
    presented = client.session_id
    client.call("account.logout")

    refused = sessions.call("session.secret", headers={"x-toto-session-id": presented})

    assert refused.body == sessions.call("session.secret").body


def test_strangers_are_refused_while_all_workers_are_busy(
    sessions: Cluster, in_background: InBackground, gate: Gate
) -> None:
    """The gateway refuses them by itself: no worker sees the call."""
    held = [in_background(sessions.call, "gate", gate.parameters(name)) for name in ("a", "b")]
    gate.wait_started("a")
    gate.wait_started("b")

    started_at = time.monotonic()
    refused = sessions.call("session.secret")
    took_seconds = time.monotonic() - started_at
    was_held = not any(call.done() for call in held)
    gate.open()

    assert was_held
    assert refused.json() == NOT_AUTHORIZED
    assert took_seconds < 1.0


def test_the_parameter_is_the_credential_where_a_method_says_so(sessions: Cluster) -> None:
    """``session_id`` among the parameters names the user, and only there."""
    client = new_client(sessions)
    given = {"session_id": client.session_id, "a": 1}

    answer = sessions.call("session.by_parameter", given).json()

    assert answer["result"] == {"user_id": client.user_id, "parameters": {"a": 1}}
    assert answer["session"]["user_id"] == client.user_id
    assert sessions.call("session.secret", given).json() == NOT_AUTHORIZED
    credentials: list[Any] = [UNKNOWN_ID, "", None, 5, [], {"a": 1}, "x" * 9000]
    for credential in credentials:
        refused = sessions.call("session.by_parameter", {"session_id": credential})
        assert refused.json() == NOT_AUTHORIZED


def test_the_parameter_of_a_get_call_is_a_credential_too(sessions: Cluster) -> None:
    """It is for clients that cannot set headers, such as links."""
    client = new_client(sessions)

    response = sessions.get(f"/session/by_parameter?session_id={client.session_id}&a=1")

    assert response.result == {"user_id": client.user_id, "parameters": {"a": "1"}}


# -- state


def test_state_survives_in_the_session_and_nowhere_else(sessions: Cluster) -> None:
    """Values of every kind come back in later calls of this session, not in one of the user's."""
    client = new_client(sessions)
    other = client.again()
    values = {"text": "päckage", "number": 5, "list": [1, {"a": None}], "none": None}

    for name, value in values.items():
        assert client.call("session.remember", name=name, value=value).result == value

    assert client.call("session.recall").result == values
    assert other.call("session.recall").result == {}


def test_a_counter_counts_over_both_workers(sessions: Cluster) -> None:
    """What one worker has saved the next one finds."""
    client = new_client(sessions)

    assert [client.call("session.counter").result for _ in range(8)] == list(range(1, 9))


def test_an_anonymous_session_keeps_state(sessions: Cluster) -> None:
    """A stranger is known again by the id of the first answer; user id is null."""
    first = sessions.call("session.anon").json()
    headers = {"x-toto-session-id": first["session"]["session_id"]}
    second = sessions.call("session.anon", headers=headers).json()

    assert first["result"]["session_id"] == first["session"]["session_id"]
    assert first["session"]["user_id"] is None
    assert first["result"]["count"] == 1
    assert second["result"] == {**first["result"], "count": 2}
    assert abs(first["session"]["expires"] - (time.time() + 500)) < 15


def test_a_bad_credential_is_never_taken_over(sessions: Cluster) -> None:
    """A new anonymous session gets an id of the server's: nobody can plant one (fixation)."""
    answer = sessions.call("session.anon", headers={"x-toto-session-id": UNKNOWN_ID}).json()

    assert answer["session"]["session_id"] != UNKNOWN_ID
    assert len(answer["session"]["session_id"]) == 22


def test_ids_are_of_22_characters_and_differ(sessions: Cluster) -> None:
    """16 random bytes, in URL-safe base64, for each session."""
    ids = {sessions.call("session.anon").result["session_id"] for _ in range(8)}

    assert len(ids) == 8
    assert all(
        len(text) == 22 and text.replace("-", "a").replace("_", "a").isalnum() for text in ids
    )


# -- ends


def test_sessions_end_unless_they_are_used(brief: Cluster) -> None:
    """Use puts the end off, up to the longest lifetime; what was wrongly signed is no use.

    Row 1: a wrong signature renews nothing. Rows 2 and 14: an end comes, however much it is used.
    """
    idle, used, forged = (new_client(brief, "v1") for _ in range(3))
    began_at = time.monotonic()
    forged_codes = set()

    def has_passed(seconds: float) -> bool:
        used.call("session.secret")
        headers = {"x-toto-session-id": forged.session_id, "x-toto-hmac": "AAAA"}
        forged_codes.add(brief.call("session.secret", headers=headers).json()["error"]["code"])
        return time.monotonic() - began_at > seconds

    poll_until(lambda: has_passed(2.6), message="2.6 s of calls")
    expired = idle.call("session.secret")

    assert used.call("session.secret").result == f"for {used.user_id}"
    assert expired.body == brief.call("session.secret").body
    assert expired.json() == NOT_AUTHORIZED
    assert "x-toto-hmac" not in expired.headers
    assert 1008 in forged_codes
    assert forged.call("session.secret").json() == NOT_AUTHORIZED
    poll_until(
        lambda: used.call("session.secret").json() == NOT_AUTHORIZED, 6.0, "the longest lifetime"
    )
    assert time.monotonic() - began_at > 4.5


def test_an_anonymous_session_has_an_end_of_its_own(brief: Cluster) -> None:
    """After ``anon_session_ttl`` its values are gone and a new one begins."""
    first = brief.call("session.anon").json()["session"]
    headers = {"x-toto-session-id": first["session_id"]}

    poll_until(lambda: time.time() > first["expires"] + 0.05, message="the session's end")
    second = brief.call("session.anon", headers=headers).json()

    assert abs(first["expires"] - time.time()) < 3
    assert second["session"]["session_id"] != first["session_id"]
    assert second["result"]["count"] == 1
