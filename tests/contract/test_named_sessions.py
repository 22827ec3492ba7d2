"""Sessions that are named in the parameters (section 7): apart from the one of the request."""

from collections.abc import Iterator
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.formats import JSON
from toto_testkit.sessions import UNLIMITED, Browser, Client, new_client, set_cookie

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("named-sessions")
    options = {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "threads": 4,
        "use_cookies": True,
        "secure_cookies": False,
        "anon_session_ttl": 1000,
    }
    with Cluster(directory, workers=1, options=options) as started:
        yield started


def named(client: Client, **parameters: Any) -> dict[str, Any]:
    return member("session.param_remember", session_id=client.session_id, **parameters)


def variables(client: Client) -> Any:
    return client.call("session.recall").result


def test_a_member_s_changes_go_to_the_session_it_names(unsigned: Cluster) -> None:
    """They once went into the session of the request: one user's data into another's."""
    alice, bob = new_client(unsigned), new_client(unsigned)
    mine = member("session.remember", name="n", value=1)

    answer = alice.batch(a=mine, b=named(bob, name="secret", value="of bob")).json()

    assert answer["batch"] == {"a": {"result": 1}, "b": {"result": bob.user_id}}
    assert answer["session"]["user_id"] == alice.user_id
    assert variables(alice) == {"n": 1}
    assert variables(bob) == {"secret": "of bob"}


def test_without_a_session_of_its_own_a_batch_saves_and_tells_none(unsigned: Cluster) -> None:
    """The answer does not hand out a session that only a member named."""
    bob = new_client(unsigned)

    answer = unsigned.post({"batch": {"b": named(bob, name="n", value=2)}}).json()

    assert answer == {"batch": {"b": {"result": bob.user_id}}}
    assert variables(bob) == {"n": 2}


def test_a_session_does_not_inherit_the_life_of_another(unsigned: Cluster) -> None:
    """An anonymous one of 1000 s once got the year of the user's that was named beside it."""
    bob, guest = new_client(unsigned), Client(unsigned)
    guest.call("session.anon")
    before = guest.call("session.anon").json()["session"]["expires"]

    answer = guest.batch(a=member("session.anon"), b=named(bob, name="n", value=3)).json()

    assert answer["session"]["expires"] - before < 20
    assert guest.call("session.anon").json()["session"]["expires"] - before < 40


def test_a_logout_of_a_named_session_ends_no_other(unsigned: Cluster) -> None:
    """The saves of the other members stay."""
    alice, bob = new_client(unsigned), new_client(unsigned)

    answer = alice.batch(
        a=member("session.remember", name="n", value=4), b=named(bob, leave=True)
    ).json()

    assert answer["session"]["user_id"] == alice.user_id
    assert variables(alice) == {"n": 4}
    assert bob.call("session.secret").error["code"] == 1004


def test_a_named_session_does_not_become_the_browser_s(unsigned: Cluster) -> None:
    """Its cookie stays that of the user who logged in there, in single calls and in batches."""
    browser, bob = Browser(unsigned), new_client(unsigned)
    browser.create()

    single = browser.call(
        "session.param_remember", {"session_id": bob.session_id, "name": "n", "value": 5}
    )
    body = JSON.dumps({"batch": {"b": named(bob, name="n", value=6)}})
    headers = {"Content-Type": "application/json", **browser.origin_headers}
    both = browser.send("POST", "/", body, headers)

    assert single.result == bob.user_id
    assert set_cookie(single) is None
    assert both.json() == {"batch": {"b": {"result": bob.user_id}}}
    assert set_cookie(both) is None


def test_the_same_named_session_may_be_used_twice_in_a_signed_batch(tmp_path: Any) -> None:
    """With scheme v2 the second member was refused as a replay of the first."""
    options = {
        **UNLIMITED,
        "sqlite_path": str(tmp_path / "t.db"),
        "hmac_enabled": True,
        "hmac_scheme": "v2",
    }
    (tmp_path / "c").mkdir()
    with Cluster(tmp_path / "c", workers=1, options=options) as cluster:
        client = new_client(cluster, "v2")
        session_id, client.session_id = client.session_id, ""
        one = member("session.by_parameter", session_id=session_id, n=1)
        body_of_two = {"batch": {"a": one, "b": one}}

        answer = client.post(body_of_two).json()

    assert [answer["batch"][key]["result"]["user_id"] for key in "ab"] == [client.user_id] * 2
