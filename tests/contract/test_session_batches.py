"""Sessions in batches (contract, sections 4 and 5): loaded, verified and told once."""

from collections.abc import Iterator
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.formats import BSON, JSON, MSGPACK, Format
from toto_testkit.sessions import PASSWORD, UNLIMITED, Client, new_client, response_hmac_v1
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

INVALID_HMAC = {"error": {"code": 1008, "value": "Invalid HMAC"}}
NOT_AUTHORIZED = {"error": {"code": 1004, "value": "Not authorized"}}


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers with one call each at a time; requests of users are signed."""
    directory = tmp_path_factory.mktemp("session-batches")
    options = {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "threads": 1,
        "hmac_enabled": True,
        "bson_enabled": True,
    }
    with Cluster(directory, workers=2, options=options) as started:
        yield started


def remember(name: str, value: Any, seconds: float = 0.0) -> dict[str, Any]:
    return member("session.remember", name=name, value=value, seconds=seconds)


def is_alive(client: Client) -> bool:
    return "result" in client.call("session.secret").json()


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
def test_a_batch_tells_the_session_once(signed: Cluster, body_format: Format) -> None:
    """It stands beside the entries and in none of them, in the format of the request."""
    client = new_client(signed, "v1")
    members = {"a": member("session.secret"), "b": member("session.fails"), "c": member("echo")}

    response = client.post({"batch": members}, body_format=body_format)

    answer = body_format.loads(response.body)
    assert response.status == 200
    assert answer.keys() == {"batch", "session"}
    assert answer["session"].keys() == {"session_id", "expires", "user_id"}
    assert answer["session"]["session_id"] == client.session_id
    assert answer["session"]["user_id"] == client.user_id
    assert answer["batch"] == {
        "a": {"result": f"for {client.user_id}"},
        "b": {"error": {"code": 4242, "value": {"why": "asked"}}},
        "c": {"result": {}},
    }
    expected = response_hmac_v1(client.key, client.session_id, response.body)
    assert response.headers["x-toto-hmac"] == expected


def test_a_batch_that_needs_no_session_tells_none(signed: Cluster) -> None:
    """The credential alone does not make the session part of the answer."""
    client = new_client(signed, "v1")

    response = client.batch(a=member("echo"), b=member("session.peek"))

    assert response.json() == {"batch": {"a": {"result": {}}, "b": {"result": True}}}
    assert "x-toto-hmac" not in response.headers


def test_the_result_of_a_streaming_member_has_no_session(signed: Cluster) -> None:
    """The items are a list, the session is the batch's."""
    client = new_client(signed, "v1")

    answer = client.batch(a=member("session.stream", count=1)).json()

    assert answer["batch"] == {"a": {"result": [client.user_id, 0]}}
    assert answer["session"]["user_id"] == client.user_id


def test_members_of_every_kind_have_the_session(signed: Cluster) -> None:
    """Decorated or not, on the loop or in a thread."""
    client = new_client(signed, "v1")
    methods = ["whoami", "secret", "maybe", "async_secret", "account_get"]

    answer = client.batch(**{name: member(f"session.{name}", names=[]) for name in methods}).json()

    assert answer["batch"] == {
        "whoami": {"result": client.user_id},
        "secret": {"result": f"for {client.user_id}"},
        "maybe": {"result": client.user_id},
        "async_secret": {"result": f"for {client.user_id}"},
        "account_get": {"result": {}},
    }


def test_strangers_are_refused_member_by_member(signed: Cluster) -> None:
    """What needs a user is refused, the rest runs."""
    answer = signed.post(
        {
            "batch": {
                "a": member("session.secret"),
                "b": member("echo"),
                "c": member("session.maybe"),
            }
        }
    ).json()

    assert answer == {
        "batch": {"a": NOT_AUTHORIZED, "b": {"result": {}}, "c": {"result": None}},
    }


# -- signatures


@pytest.mark.parametrize("signature", [None, "AAAA", "right for another body"])
def test_row_01_a_wrong_signature_refuses_every_member(
    signed: Cluster, signature: str | None
) -> None:
    """No member is authenticated by the failure of the one before it, and no session is told."""
    client = new_client(signed, "v1")
    members = {"a": remember("a", 1), "b": remember("b", 2), "c": member("session.whoami")}
    body = JSON.dumps({"batch": members})
    headers = {"Content-Type": "application/json", "x-toto-session-id": client.session_id}
    if signature == "right for another body":
        headers |= client.headers("POST", "/", body + b" ")
    elif signature is not None:
        headers["x-toto-hmac"] = signature

    response = signed.send("POST", "/", headers, body)

    assert response.json() == {"batch": dict.fromkeys("abc", INVALID_HMAC)}
    assert "x-toto-hmac" not in response.headers
    assert client.call("session.recall").result == {}


def test_members_that_never_ask_run_under_a_wrong_signature(signed: Cluster) -> None:
    """One refused member does not refuse those that have nothing to do with users."""
    client = new_client(signed, "v1")
    members = {"a": member("session.secret"), "b": member("echo", x=1), "c": member("session.peek")}
    headers = {"x-toto-session-id": client.session_id, "x-toto-hmac": "AAAA"}

    answer = signed.post({"batch": members}, headers=headers).json()

    assert answer == {
        "batch": {"a": INVALID_HMAC, "b": {"result": {"x": 1}}, "c": {"result": True}}
    }


def test_a_member_cannot_sign_for_another_session(signed: Cluster) -> None:
    """A session id among a member's parameters needs that session's key."""
    client, victim = new_client(signed, "v1"), new_client(signed, "v1")

    answer = client.batch(
        a=member("session.by_parameter", session_id=victim.session_id),
        b=member("session.secret"),
    ).json()

    assert answer["batch"]["a"] == INVALID_HMAC
    assert answer["batch"]["b"] == {"result": f"for {client.user_id}"}
    assert answer["session"]["user_id"] == client.user_id


# -- state


def test_changes_of_all_members_are_kept(signed: Cluster) -> None:
    """Values that different members set in different workers are all there afterwards."""
    client = new_client(signed, "v1")
    client.call("session.remember", name="before", value="kept")

    client.batch(**{f"k{number}": remember(f"n{number}", number) for number in range(6)})

    expected = {"before": "kept"} | {f"n{number}": number for number in range(6)}
    assert client.call("session.recall").result == expected


def test_of_two_changes_of_a_value_the_later_key_wins(signed: Cluster) -> None:
    """Changes are applied in the order of the keys, not in that of the members' ends."""
    client = new_client(signed, "v1")

    client.batch(b=remember("x", "b"), a=remember("x", "a", 0.3), c=remember("y", "c"))

    assert client.call("session.recall").result == {"x": "b", "y": "c"}


def test_every_member_sees_the_session_as_it_was(signed: Cluster) -> None:
    """It is loaded once: a member does not see what another one has changed meanwhile."""
    client = new_client(signed, "v1")
    client.call("session.remember", name="x", value="old")
    members = {"a": remember("x", "new")} | {f"b{n}": member("session.recall") for n in range(4)}

    answer = client.batch(**members).json()

    seen = [answer["batch"][f"b{number}"]["result"] for number in range(4)]
    assert seen == [{"x": "old"}] * 4
    assert client.call("session.recall").result == {"x": "new"}


def test_a_failed_members_save_counts(signed: Cluster) -> None:
    """What a member has saved is kept, whatever happens to the others."""
    client = new_client(signed, "v1")

    answer = client.batch(a=remember("a", 1), b=member("session.fails"), c=member("no.such")).json()

    assert answer["batch"]["a"] == {"result": 1}
    assert client.call("session.recall").result == {"a": 1}


def test_a_killed_member_takes_no_session_along(signed: Cluster) -> None:
    """It has error 1105; the others have results, the answer its session, the state its changes."""
    client = new_client(signed, "v1")
    members = {"dead": member("vanish", code=1)}
    members |= {f"k{number}": remember(f"n{number}", number, 0.05) for number in range(4)}

    answer = client.batch(**members).json()
    poll_until(lambda: len(signed.worker_pids()) == 2, 15.0, "both workers live")

    assert answer["batch"].pop("dead")["error"]["code"] == 1105
    assert answer["batch"] == {f"k{number}": {"result": number} for number in range(4)}
    assert answer["session"]["user_id"] == client.user_id
    assert client.call("session.recall").result == {f"n{n}": n for n in range(4)}


# -- members that begin or end sessions


def test_a_member_that_logs_in_gives_the_answer_its_session(signed: Cluster) -> None:
    """The new session is the response's, and its key signs the response."""
    user_id = new_client(signed, "v1").user_id
    members = {
        "in": member("account.login", user_id=user_id, password=PASSWORD),
        "other": member("echo", a=1),
    }

    response = signed.post({"batch": members})

    answer = response.json()
    made = answer["batch"]["in"]["result"]
    assert answer["batch"]["other"] == {"result": {"a": 1}}
    assert answer["session"]["session_id"] == made["session_id"]
    assert answer["session"]["user_id"] == user_id
    client = Client(signed, "v1", user_id, PASSWORD, made["session_id"], made["key"])
    assert is_alive(client)
    expected = response_hmac_v1(made["key"], made["session_id"], response.body)
    assert response.headers["x-toto-hmac"] == expected


def test_a_login_does_not_authenticate_other_members(signed: Cluster) -> None:
    """The members run as whom the request came as; the login is for the requests after it."""
    user_id = new_client(signed, "v1").user_id
    members = {
        "a": member("account.login", user_id=user_id, password=PASSWORD),
        "b": member("session.secret"),
        "c": member("session.maybe"),
    }

    answer = signed.post({"batch": members}).json()

    assert answer["batch"]["a"]["result"]["user_id"] == user_id
    assert answer["batch"]["b"] == NOT_AUTHORIZED
    assert answer["batch"]["c"] == {"result": None}


def test_a_member_that_logs_in_ends_the_session_it_came_with(signed: Cluster) -> None:
    """As a single login does (row 12); the old session's members still run."""
    client, other = new_client(signed, "v1"), new_client(signed, "v1")
    old = Client(signed, "v1", client.user_id, PASSWORD, client.session_id, client.key)

    answer = client.batch(
        a=member("session.whoami"),
        b=member("account.login", user_id=other.user_id, password=PASSWORD),
    ).json()

    assert answer["session"]["user_id"] == other.user_id
    assert answer["session"]["session_id"] == answer["batch"]["b"]["result"]["session_id"]
    assert not is_alive(old)


def test_an_anonymous_session_made_by_a_member_is_the_answers(signed: Cluster) -> None:
    """A stranger's batch comes back with a session, whose state is the member's."""
    first = signed.post({"batch": {"a": member("session.anon")}}).json()
    headers = {"x-toto-session-id": first["session"]["session_id"]}
    second = signed.call("session.anon", headers=headers)

    assert first["session"]["user_id"] is None
    assert first["batch"]["a"]["result"]["session_id"] == first["session"]["session_id"]
    assert second.result["count"] == 2


def test_a_member_that_logs_out_ends_the_session(signed: Cluster) -> None:
    """The changes of other members do not bring it back."""
    client = new_client(signed, "v1")

    answer = client.batch(a=member("account.logout"), b=remember("x", 1, 0.1)).json()

    assert answer["batch"]["a"] == {"result": {"authenticated": False}}
    assert not is_alive(client)
