"""Properties of accounts: who may set which (section 5, row 19); and reports of clients."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.http import Response
from toto_testkit.sessions import PASSWORD, UNLIMITED, new_client, new_user_id

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

NOT_AUTHORIZED = {"error": {"code": 1004, "value": "Not authorized"}}
WRONG_LOGIN = {"error": {"code": 1005, "value": "Invalid user ID or password"}}
NEW_PASSWORD = "another fine password"  # noqa: S105  # of accounts that live for one test


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Clients may set the nickname and the city of their account."""
    directory = tmp_path_factory.mktemp("properties")
    options = {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "threads": 4,
        "account_fields": ["nickname", "city"],
    }
    with Cluster(directory, workers=1, options=options) as started:
        yield started


def login(cluster: Cluster, user_id: Any, password: Any) -> Response:
    return cluster.call("account.login", {"user_id": user_id, "password": password})


def test_clients_set_the_fields_they_may(accounts: Cluster) -> None:
    """By create and by update, text or not; the account has them afterwards."""
    client = new_client(accounts, nickname="Ännchen")

    updated = client.call("account.update", city={"name": "Ulm", "zip": [89, 73]})

    assert updated.result["updated_fields"] == ["city"]
    got = client.call("session.account_get", names=["nickname", "city", "none"])
    assert got.result == {
        "nickname": "Ännchen",
        "city": {"name": "Ulm", "zip": [89, 73]},
        "none": None,
    }


def test_row_19_no_other_field_can_be_set(accounts: Cluster) -> None:
    """Neither create nor update assigns what is not on the list, or what is not a property."""
    forbidden: dict[str, Any] = {
        "is_admin": True,
        "generation": 9,
        "created": 0,
        "password_hash": "x",
    }
    created = {"user_id": new_user_id(), "password": PASSWORD, **forbidden}
    told = "Not authorized to set: created, generation, is_admin, password_hash"
    assert accounts.call("account.create", created).error == {"code": 1004, "value": told}
    client = new_client(accounts)

    assert client.call("account.update", **forbidden).error == {"code": 1004, "value": told}

    got = client.call("session.account_get", names=list(forbidden)).json()
    values = got.get("result", {}).values()
    assert all(value is None for value in values)
    assert login(accounts, client.user_id, PASSWORD).result["user_id"] == client.user_id


def test_row_19_update_without_a_new_password_sets_none(accounts: Cluster) -> None:
    """The field ``password`` is the present password, never a new one."""
    client = new_client(accounts)

    client.call("account.update", password=NEW_PASSWORD, nickname="x")

    assert login(accounts, client.user_id, NEW_PASSWORD).json() == WRONG_LOGIN
    assert login(accounts, client.user_id, PASSWORD).result["user_id"] == client.user_id


def test_row_19_update_changes_nobody_else(accounts: Cluster) -> None:
    """Another user's id among the parameters changes neither that account nor its password."""
    victim, thief = new_client(accounts, nickname="victim"), new_client(accounts, nickname="thief")

    thief.call("account.update", user_id=victim.user_id, nickname="stolen")
    taken = thief.call(
        "account.update", user_id=victim.user_id, password=PASSWORD, new_password=NEW_PASSWORD
    )

    assert "error" in taken.json()
    got = victim.call("session.account_get", names=["nickname", "user_id"]).result
    assert got["nickname"] == "victim"
    assert got["user_id"] == victim.user_id
    assert login(accounts, victim.user_id, PASSWORD).result["user_id"] == victim.user_id
    assert login(accounts, thief.user_id, PASSWORD).result["user_id"] == thief.user_id


def test_row_19_update_needs_a_user(accounts: Cluster) -> None:
    """Strangers and anonymous sessions change nothing, whatever user id they name."""
    client = new_client(accounts, nickname="before")
    anonymous = accounts.call("session.anon").result["session_id"]
    change = {"user_id": client.user_id, "nickname": "after", "password": PASSWORD}

    for headers in ({}, {"x-toto-session-id": anonymous}):
        assert accounts.call("account.update", change, headers).json() == NOT_AUTHORIZED

    assert client.call("session.account_get", names=["nickname"]).result == {"nickname": "before"}


def test_methods_set_properties_that_clients_may_not(accounts: Cluster) -> None:
    """``TotoAccount`` saves what the application's own code sets, for every session of the user."""
    client = new_client(accounts)
    other = client.again()

    assert client.call("session.account_set", level=3, nickname="n").result == ["level", "nickname"]
    assert other.call("session.account_get", names=["level", "nickname"]).result == {
        "level": 3,
        "nickname": "n",
    }


def test_an_account_never_tells_its_password(accounts: Cluster) -> None:
    """Methods cannot read the hash as a property, so they cannot leak it."""
    client = new_client(accounts)

    answer = client.call("session.account_get", names=["password", "nickname"])

    assert b"argon2" not in answer.body
    assert (answer.json().get("result") or {"password": None})["password"] is None


# -- client_error


def test_client_error_takes_a_report_into_the_log(accounts: Cluster) -> None:
    """Toto's method for errors in browsers logs one line, control characters escaped (row 24)."""
    marker = secrets.token_hex(8)
    report = {"client_error": f"{marker} first\nsecond\x1b[2J", "client_type": "browser_js"}

    answer = accounts.call("client_error", report)

    assert answer.result == {"logged": True}
    (line,) = [line for line in accounts.output().splitlines() if marker in line]
    assert "second" in line
    assert "\x1b" not in line
