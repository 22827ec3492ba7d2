"""Accounts, sessions and signatures of an application written as for Toto 1.0."""

from collections.abc import Iterator

import pytest

from toto_testkit.classic import WAYS, ClassicApp
from toto_testkit.cluster import member
from toto_testkit.formats import BSON, JSON, MSGPACK, Format
from toto_testkit.sessions import Client, new_client, response_hmac_v1

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

NEW = "a new password"


@pytest.fixture(scope="module", params=WAYS)
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClassicApp]:
    """The application with one worker, whose modules every call shares."""
    directory = tmp_path_factory.mktemp("classic")
    with ClassicApp(directory, workers=1, way=request.param) as started:
        yield started


def test_a_visitor_is_counted(shop: ClassicApp) -> None:
    """An anonymous session needs no signature and keeps its variables."""
    visitor = Client(shop)

    counts = [visitor.call("increment").result["count"] for _ in range(3)]
    response = visitor.call("increment")

    assert counts == [1, 2, 3]
    assert response.json()["result"] == {"count": 4}
    assert response.json()["session"]["session_id"] == visitor.session_id
    assert response.json()["session"]["user_id"] is None


def test_an_account_from_creation_to_logout(shop: ClassicApp) -> None:
    """Create, verify, log in again, update the password, log out."""
    user = new_client(shop, "v1")

    assert user.call("verify_session").result == user.user_id
    second = user.again()
    assert second.session_id != user.session_id
    assert second.call("verify_session").result == user.user_id
    assert second.call("account.logout").status == 200
    assert second.call("verify_session").error == {"code": 1004, "value": "Not authorized"}
    assert user.call("verify_session").result == user.user_id


def test_a_new_password_ends_other_sessions(shop: ClassicApp) -> None:
    """``account.update`` needs the present password; the old one logs nobody in."""
    user = new_client(shop, "v1")
    other = user.again()

    refused = user.call("account.update", password="x" + user.password, new_password=NEW)
    changed = user.call("account.update", password=user.password, new_password=NEW)

    assert refused.error["code"] == 1005
    assert "error" not in changed.json()
    assert other.call("verify_session").error["code"] == 1004
    old = {"user_id": user.user_id, "password": user.password}
    assert shop.call("account.login", old).error["code"] == 1005


def test_users_sign_and_answers_are_signed(shop: ClassicApp) -> None:
    """A right signature is answered by one; a wrong one and none are refused."""
    user = new_client(shop, "v1")
    body = JSON.dumps({"method": "verify_session", "parameters": {}})

    response = user.send("POST", "/", body, JSON.content_type)
    unsigned = Client(shop, "none", session_id=user.session_id).call("verify_session")
    forged = Client(shop, "v1", session_id=user.session_id, key=user.user_id).call("verify_session")

    assert response.result == user.user_id
    session_id = response.json()["session"]["session_id"]
    expected = response_hmac_v1(user.key, session_id, response.body)
    assert response.headers["x-toto-hmac"] == expected
    assert unsigned.error == {"code": 1008, "value": "Invalid HMAC"}
    assert forged.error == {"code": 1008, "value": "Invalid HMAC"}


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
def test_signed_calls_in_every_format(shop: ClassicApp, body_format: Format) -> None:
    """The signature covers the bytes, whatever they mean."""
    user = new_client(shop, "v1")

    response = user.post({"method": "verify_session", "parameters": {}}, "/", body_format)

    assert body_format.loads(response.body)["result"] == user.user_id


def test_a_signed_query_and_a_signed_batch(shop: ClassicApp) -> None:
    """The uri is signed with its query; a batch has one signature."""
    user = new_client(shop, "v1")

    by_query = user.send("GET", "/verify_session?a=%2F&b=1")
    batch = user.batch(a=member("verify_session"), b=member("return_value", x=1)).json()

    assert by_query.result == user.user_id
    assert batch["batch"] == {
        "a": {"result": user.user_id},
        "b": {"result": {"parameters": {"x": 1}}},
    }
    assert batch["session"]["user_id"] == user.user_id


def test_strangers_and_users(shop: ClassicApp) -> None:
    """``optionally_authenticated`` serves both, ``authenticated`` only one."""
    user = new_client(shop, "v1")

    assert shop.call("maybe").result == "stranger"
    assert user.call("maybe").result == user.user_id
    assert shop.call("verify_session").error == {"code": 1004, "value": "Not authorized"}


def test_a_session_can_be_retrieved_by_its_id(shop: ClassicApp) -> None:
    """``retrieve_session`` takes the id from the parameters; an unknown one is no session."""
    visitor = Client(shop)
    visitor.call("increment")

    found = shop.call("peek", {"session_id": visitor.session_id})
    unknown = shop.call("peek", {"session_id": "x" * 22})

    assert found.result == {"user_id": None, "count": 1}
    assert unknown.result is None


def test_a_session_without_a_password(shop: ClassicApp) -> None:
    """``create_session(verify_password=False)`` logs in a user known from elsewhere."""
    user = new_client(shop, "v1")

    result = shop.call("facebook_login", {"user_id": user.user_id}).json()

    session_id, key = result["session"]["session_id"], result["result"]["key"]
    by_facebook = Client(shop, "v1", session_id=session_id, key=key)
    assert by_facebook.call("verify_session").result == user.user_id


def test_properties_of_an_account(shop: ClassicApp) -> None:
    """What is saved is read again; what was never set reads as None."""
    user = new_client(shop, "v1")

    user.call("profile", nickname="Countess")

    assert user.call("profile").result == {"nickname": "Countess", "missing": None}


def test_the_session_id_may_be_a_parameter(shop: ClassicApp) -> None:
    """The method does not see the parameter, and refuses an anonymous session."""
    user = new_client(shop, "v1")
    visitor = Client(shop)
    visitor.call("increment")
    uri = f"/calendar?session_id={user.session_id}&month=5"
    signing = Client(shop, "v1", key=user.key)

    response = signing.send("GET", uri)
    anonymous = shop.get(f"/calendar?session_id={visitor.session_id}")

    assert response.content_type == "text/calendar"
    assert f"X-OWNER:{user.user_id}\nX-KEYS:month\n".encode() in response.body
    assert anonymous.error["code"] == 1004
