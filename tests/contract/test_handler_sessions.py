"""Sessions and accounts in every format, alone and in batches (section 5)."""

import time
from collections.abc import Iterator

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.formats import Format
from toto_testkit.sessions import PASSWORD, new_user_id
from toto_testkit.speaking import Answer, Way, every_format, every_way, speaking_options

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

DAY_SECONDS = 86_400
NOT_AUTHORIZED = {"code": 1004, "value": "Not authorized"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, every format, and a database."""
    directory = tmp_path_factory.mktemp("sessions")
    options = speaking_options(str(directory / "toto.db"))
    with Cluster(directory, options=options) as started:
        yield started


def headers(answer: Answer) -> dict[str, str]:
    """Return the header that continues the session of an answer."""
    assert answer.session is not None, answer
    return {"x-toto-session-id": answer.session["session_id"]}


def create(cluster: Cluster, way: Way, user_id: str) -> Answer:
    """Create an account."""
    given = {"user_id": user_id, "password": PASSWORD}
    return way.call(cluster, "account.create", given)


@every_way
def test_a_visitor_is_counted(cluster: Cluster, way: Way) -> None:
    """An anonymous session is made once, told each time, and keeps its variables."""
    first = way.call(cluster, "contract.count")
    second = way.call(cluster, "contract.count", {}, headers(first))

    assert (first.result, second.result) == (1, 2)
    assert second.session is not None
    assert first.session is not None
    assert set(second.session) == {"session_id", "expires", "user_id"}
    assert second.session["session_id"] == first.session["session_id"]
    assert second.session["user_id"] is None
    assert 0 < second.session["expires"] - time.time() <= DAY_SECONDS + 1


@every_way
def test_from_an_account_to_a_logout(cluster: Cluster, way: Way) -> None:
    """Create, call as the user, log in elsewhere, log out there, call here."""
    user_id = new_user_id()

    created = create(cluster, way, user_id)
    given = {"user_id": user_id, "password": PASSWORD}
    logged_in = way.call(cluster, "account.login", given)
    elsewhere = way.call(cluster, "contract.user", {}, headers(logged_in))
    logged_out = way.call(cluster, "account.logout", {}, headers(logged_in))
    after = way.call(cluster, "contract.user", {}, headers(logged_in))
    here = way.call(cluster, "contract.user", {}, headers(created))

    assert created.session is not None
    assert created.result["session_id"] == created.session["session_id"]
    assert created.result["user_id"] == user_id
    assert created.session["user_id"] == user_id
    assert isinstance(created.result["key"], str)
    assert elsewhere.result == user_id
    assert "result" in logged_out.entry
    assert after.error == NOT_AUTHORIZED
    assert after.session is None
    assert here.result == user_id


@every_way
def test_a_wrong_password_and_an_unknown_user_are_told_alike(cluster: Cluster, way: Way) -> None:
    """One text for both; a taken id has its own code."""
    user_id = new_user_id()
    create(cluster, way, user_id)

    wrong = way.call(cluster, "account.login", {"user_id": user_id, "password": "x" + PASSWORD})
    unknown = way.call(cluster, "account.login", {"user_id": "nobody", "password": PASSWORD})
    taken = create(cluster, way, user_id)

    assert wrong.error == {"code": 1005, "value": "Invalid user ID or password"}
    assert unknown.error == wrong.error
    assert wrong.session is None
    assert taken.error == {"code": 1006, "value": "User ID already in use."}


@every_way
@pytest.mark.parametrize("session_id", ["", "x" * 22, "x" * 8000, "%00", "../x", "ünknown"])
def test_a_session_id_that_is_none(cluster: Cluster, way: Way, session_id: str) -> None:
    """Unknown and malformed ids are no session, and never an error of the server."""
    given = {"x-toto-session-id": session_id}

    refused = way.call(cluster, "contract.user", {}, given)
    counted = way.call(cluster, "contract.count", {}, given)

    assert refused.error == NOT_AUTHORIZED
    assert counted.result == 1
    assert counted.session is not None
    assert counted.session["session_id"] != session_id


@every_way
def test_an_anonymous_session_is_no_user(cluster: Cluster, way: Way) -> None:
    """``authenticated`` refuses it."""
    visitor = way.call(cluster, "contract.count")

    assert way.call(cluster, "contract.user", {}, headers(visitor)).error == NOT_AUTHORIZED


@every_way
def test_an_undecorated_method_sees_no_session(cluster: Cluster, way: Way) -> None:
    """``handler.session`` is None until it is asked for, and the answer tells none."""
    visitor = way.call(cluster, "contract.count")

    answer = way.call(cluster, "contract.facts", {}, headers(visitor))

    assert answer.result["session"] is None
    assert answer.session is None


@every_format
def test_members_and_their_session(cluster: Cluster, body_format: Format) -> None:
    """A login in a batch is the answer's session, and makes no user of the other members."""
    user_id = new_user_id()
    cluster.call("account.create", {"user_id": user_id, "password": PASSWORD})
    batch = {
        "a": member("account.login", user_id=user_id, password=PASSWORD),
        "b": member("contract.user"),
        "c": member("echo", x=1),
    }

    response = cluster.post({"batch": batch}, body_format=body_format)

    envelope = body_format.loads(response.body)
    assert envelope["batch"]["a"]["result"]["user_id"] == user_id
    assert envelope["batch"]["b"] == {"error": NOT_AUTHORIZED}
    assert envelope["batch"]["c"] == {"result": {"x": 1}}
    assert envelope["session"]["user_id"] == user_id
    session_id = envelope["batch"]["a"]["result"]["session_id"]
    assert envelope["session"]["session_id"] == session_id
