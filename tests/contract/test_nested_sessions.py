"""The session of a call that a method makes: carried there, and back again."""

from collections.abc import Iterator
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.http import Response
from toto_testkit.sessions import UNLIMITED, Client, new_client

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

KINDS: dict[str, dict[str, Any]] = {
    "sqlite": {},
    "signed": {"hmac_enabled": True},
    "redis": {"session_cache": "redis", "redis_prefix": "nested-sessions"},
    "tokens": {
        "session_cache": "client",
        "session_keys": "k" * 40,
        "hmac_enabled": True,
        "processes": 1,
    },
}


@pytest.fixture(scope="module", params=list(KINDS))
def pool(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two workers and two gateway processes (one for tokens); sessions of each kind in turn."""
    directory = tmp_path_factory.mktemp("pool")
    options = {
        **UNLIMITED,
        "sqlite_path": str(directory / "toto.db"),
        "threads": 1,
        "processes": 2,
        "request_timeout": 5.0,
        **KINDS[request.param],
    }
    with Cluster(directory, workers=2, options=options) as started:
        yield started


@pytest.fixture
def client(pool: Cluster, request: pytest.FixtureRequest) -> Client:
    """A user who is logged in."""
    is_signed = "hmac_enabled" in KINDS[request.node.callspec.params["pool"]]
    return new_client(pool, "v1" if is_signed else "none")


def passed_on(client: Client, method: str, parameters: Any = None) -> Response:
    """Have a method call another one as this user."""
    given = {"method": method, "parameters": parameters}
    return client.post({"method": "calls.passes_on", "parameters": given})


def test_the_session_goes_along(client: Client) -> None:
    """The other method sees whose call it is."""
    assert passed_on(client, "session.whoami").result == client.user_id


def test_what_the_other_method_saves_stays(client: Client) -> None:
    """Each call goes on from the one before, whichever of the two ways it takes."""
    for expected in (1, 3, 5):
        assert passed_on(client, "session.counter").result == expected
        assert client.call("session.counter").result == expected + 1


def test_both_may_save(client: Client) -> None:
    """What the caller saves afterwards does not undo what the other method saved."""
    both = client.call("calls.remembers", name="mine", value=1)

    assert both.result == {"mine": 1, "theirs": 2}
    assert client.call("session.recall").result == {"mine": 1, "theirs": 2}


def test_a_login_by_another_method_is_the_caller_s(pool: Cluster, client: Client) -> None:
    """Its session is told to the client, as if the called method had been called alone."""
    login = {"user_id": client.user_id, "password": client.password}

    response = pool.call("calls.passes_on", {"method": "account.login", "parameters": login})

    answer = response.json()
    assert answer["session"]["user_id"] == client.user_id
    assert answer["session"]["session_id"] == answer["result"]["session_id"]
    other = Client(pool, client.scheme, client.user_id, client.password)
    other.session_id, other.key = answer["result"]["session_id"], answer["result"]["key"]
    assert other.call("session.whoami").result == client.user_id


def test_a_logout_by_another_method_ends_the_session(client: Client) -> None:
    """For the caller's client, too."""
    assert passed_on(client, "account.logout").result == {"authenticated": False}

    assert client.call("session.secret").error["code"] == 1004


def test_nobody_gets_past_a_decorator_by_another_method(pool: Cluster) -> None:
    """A stranger's call stays a stranger's."""
    response = pool.call("calls.passes_on", {"method": "session.secret"})

    assert response.error == {"code": 1004, "value": "Not authorized"}


def test_a_session_that_the_other_method_loads_stays_its_own(client: Client) -> None:
    """Neither the caller nor its client hears of it, and nothing of it is saved elsewhere."""
    ann, bob = client, new_client(client.cluster, client.scheme)
    bob.call("session.remember", name="secret", value="bob's")
    asking = {
        "method": "calls.passes_on",
        "parameters": {
            "method": "session.by_parameter",
            "parameters": {"session_id": bob.session_id},
        },
    }

    response = ann.post(asking)
    entries = ann.batch(a=asking).json()

    assert bob.session_id.encode() not in response.body
    assert "session" not in response.json() or response.json()["session"]["user_id"] == ann.user_id
    assert entries.get("session", {"user_id": ann.user_id})["user_id"] == ann.user_id
    assert ann.call("session.recall").result == {}


def test_a_login_is_not_undone_by_a_call_beside_it(client: Client) -> None:
    """Whichever of two calls ends last: the new session is the caller's."""
    for _ in range(5):
        response = client.call("calls.logs_in_and_touches", user_id=client.user_id)

        assert response.result["user_id"] == client.user_id
        client.key = response.result["key"]
        assert client.call("session.whoami").result == client.user_id


def test_members_of_a_batch_carry_their_session(client: Client) -> None:
    """And what the methods they call save is there after the batch."""
    member = {"method": "calls.passes_on", "parameters": {"method": "session.whoami"}}
    counting = {"method": "calls.passes_on", "parameters": {"method": "session.counter"}}

    entries = client.batch(a=member, b=counting).json()["batch"]

    assert entries == {"a": {"result": client.user_id}, "b": {"result": 1}}
    assert client.call("session.counter").result == 2
