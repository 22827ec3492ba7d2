"""Accounts: create, log in and out, change; what each of them never does (section 5)."""

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import wait
from statistics import median
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import InBackground
from toto_testkit.http import Response
from toto_testkit.sessions import PASSWORD, UNLIMITED, Client, new_client, new_user_id

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

WRONG_LOGIN = {"error": {"code": 1005, "value": "Invalid user ID or password"}}
NEW_PASSWORD = "another fine password"  # noqa: S105  # of accounts that live for one test


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Sessions last 1000 s; logins are not limited, and no field can be set."""
    directory = tmp_path_factory.mktemp("accounts")
    options = {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "threads": 4,
        "session_ttl": 1000,
    }
    with Cluster(directory, workers=2, options=options) as started:
        yield started


def login(cluster: Cluster, user_id: Any, password: Any) -> Response:
    return cluster.call("account.login", {"user_id": user_id, "password": password})


def is_alive(cluster: Cluster, session_id: str) -> bool:
    answer = cluster.call("session.secret", headers={"x-toto-session-id": session_id}).json()
    return "result" in answer


# -- create and log in


@pytest.mark.parametrize("method", ["create", "login"])
def test_the_new_session_is_the_answers(accounts: Cluster, method: str) -> None:
    """Result and envelope tell one session, which lasts as long as the option says."""
    user_id = new_user_id()
    response = accounts.call("account.create", {"user_id": user_id, "password": PASSWORD})
    if method == "login":
        response = login(accounts, user_id, PASSWORD)

    answer = response.json()
    assert response.status == 200
    assert answer["session"] == {
        name: answer["result"][name] for name in ("session_id", "expires", "user_id")
    }
    assert answer["result"]["user_id"] == user_id
    assert type(answer["result"]["expires"]) is float
    assert abs(answer["result"]["expires"] - (time.time() + 1000)) < 15
    assert len(answer["result"]["session_id"]) == 22
    assert len(answer["result"]["key"]) >= 22
    assert is_alive(accounts, answer["result"]["session_id"])


def test_every_login_has_a_session_and_a_key_of_its_own(accounts: Cluster) -> None:
    """Two devices of one user do not share what they sign with."""
    client = new_client(accounts)
    other = client.again()

    assert client.session_id != other.session_id
    assert client.key != other.key
    assert client.call("session.secret").result == f"for {client.user_id}"
    assert other.call("session.secret").result == f"for {client.user_id}"


def test_a_user_id_is_given_once(accounts: Cluster) -> None:
    """The second account of an id is refused, and the first keeps its password."""
    client = new_client(accounts)

    again = accounts.call("account.create", {"user_id": client.user_id, "password": NEW_PASSWORD})

    assert again.json() == {"error": {"code": 1006, "value": "User ID already in use."}}
    assert login(accounts, client.user_id, NEW_PASSWORD).json() == WRONG_LOGIN
    assert login(accounts, client.user_id, PASSWORD).result["user_id"] == client.user_id


def test_of_many_at_once_one_gets_the_user_id(
    accounts: Cluster, in_background: InBackground
) -> None:
    """Creation is atomic: eight requests over two workers make one account."""
    user_id = new_user_id()
    passwords = [f"password {number}" for number in range(8)]
    calls = [
        in_background(accounts.call, "account.create", {"user_id": user_id, "password": password})
        for password in passwords
    ]
    wait(calls)

    answers = [call.result().json() for call in calls]
    made = [
        password for password, answer in zip(passwords, answers, strict=True) if "result" in answer
    ]
    assert len(made) == 1
    assert sorted({answer["error"]["code"] for answer in answers if "error" in answer}) == [1006]
    assert login(accounts, user_id, made[0]).result["user_id"] == user_id


def test_row_27_user_ids_have_one_form(accounts: Cluster) -> None:
    """Case and compatibility forms make no second user: NFKC and casefold."""
    tail = secrets.token_hex(6)
    made = accounts.call("account.create", {"user_id": f"Straße-{tail}", "password": PASSWORD})

    assert made.result["user_id"] == f"strasse-{tail}"
    for spelling in (f"STRASSE-{tail.upper()}", f"\uff53traße-{tail}", f"\u017ftrasse-{tail}"):
        assert login(accounts, spelling, PASSWORD).result["user_id"] == f"strasse-{tail}"
        taken = accounts.call("account.create", {"user_id": spelling, "password": PASSWORD})
        assert taken.error["code"] == 1006


@pytest.mark.parametrize(
    "user_id",
    ["a\x00b", "a\nb", "\x1b[2J", "a\x7fb", "\x85", "é" * 129, "x" * 257, "\ufdfa" * 10],
)
def test_a_bad_user_id_makes_no_account(accounts: Cluster, user_id: str) -> None:
    """Control characters, and more than 256 bytes in normal form, are refused as such."""
    made = accounts.call("account.create", {"user_id": user_id, "password": PASSWORD})

    assert made.json() == {"error": {"code": 1010, "value": "Invalid user ID."}}
    assert login(accounts, user_id, PASSWORD).json() == WRONG_LOGIN


def test_a_user_id_of_256_bytes_is_one(accounts: Cluster) -> None:
    """The limit is what it says."""
    user_id = new_user_id().ljust(256, "x")

    made = accounts.call("account.create", {"user_id": user_id, "password": PASSWORD})

    assert made.result["user_id"] == user_id


@pytest.mark.parametrize("value", [5, None, [], {"a": 1}, True, "", 1.5, ["a", "b"]])
def test_values_of_other_types_are_errors_of_the_client(accounts: Cluster, value: Any) -> None:
    """Neither id nor password of a wrong type is an internal error, and neither gets in."""
    client = new_client(accounts)
    answers = [
        accounts.call("account.create", {"user_id": value, "password": PASSWORD}),
        accounts.call("account.create", {"user_id": new_user_id(), "password": value}),
        login(accounts, value, PASSWORD),
        login(accounts, client.user_id, value),
    ]

    assert {answer.error["code"] for answer in answers} <= {1003, 1005, 1010}


@pytest.mark.parametrize("method", ["account.create", "account.login"])
def test_both_parameters_are_needed(accounts: Cluster, method: str) -> None:
    """What is missing is named."""
    answer = accounts.call(method, {})

    assert answer.json() == {
        "error": {"code": 1003, "value": "Missing parameters: password, user_id"}
    }


def test_a_long_password_counts_to_its_end(accounts: Cluster) -> None:
    """No password is cut: one that differs in the last of 200 characters is wrong."""
    user_id = new_user_id()
    long = "x" * 199
    accounts.call("account.create", {"user_id": user_id, "password": long + "a"})

    assert login(accounts, user_id, long + "b").json() == WRONG_LOGIN
    assert login(accounts, user_id, long).json() == WRONG_LOGIN
    assert login(accounts, user_id, long + "a").result["user_id"] == user_id


# -- what a failed login tells


def test_row_22_an_unknown_user_looks_like_a_wrong_password(accounts: Cluster) -> None:
    """Status, headers and bytes are the same."""
    client = new_client(accounts)

    wrong = login(accounts, client.user_id, "wrong")
    unknown = login(accounts, new_user_id(), "wrong")

    assert wrong.json() == WRONG_LOGIN
    assert (unknown.status, unknown.body) == (wrong.status, wrong.body)
    varying = {"x-request-id", "date"}
    assert {k: v for k, v in unknown.headers.items() if k not in varying} == {
        k: v for k, v in wrong.headers.items() if k not in varying
    }


def test_row_22_an_unknown_user_takes_as_long(accounts: Cluster) -> None:
    """A password is hashed for users who do not exist too, so that time tells nothing."""
    client = new_client(accounts)
    wrong_seconds, unknown_seconds = [], []

    for _ in range(9):
        wrong_seconds.append(seconds_of(accounts, client.user_id))
        unknown_seconds.append(seconds_of(accounts, new_user_id()))

    ratio = median(unknown_seconds) / median(wrong_seconds)
    assert 0.5 < ratio < 2.0


def seconds_of(cluster: Cluster, user_id: str) -> float:
    started_at = time.perf_counter()
    assert login(cluster, user_id, "wrong").json() == WRONG_LOGIN
    return time.perf_counter() - started_at


def test_a_login_without_a_password_is_for_methods(accounts: Cluster) -> None:
    """``create_session(user, verify_password=False)`` makes a session of a user who exists."""
    client = new_client(accounts)

    made = accounts.call("session.login_without_password", {"user_id": client.user_id}).json()

    assert made["result"]["user_id"] == client.user_id
    assert made["session"]["session_id"] == made["result"]["session_id"]
    assert is_alive(accounts, made["result"]["session_id"])


# -- ends


def test_row_12_a_login_ends_the_session_it_came_with(accounts: Cluster) -> None:
    """The id is a new one, and who knew the old one has nothing: user's or anonymous."""
    client = new_client(accounts)
    first = client.session_id
    client.login()
    planted = accounts.call("session.anon").result["session_id"]
    visitor = Client(accounts, user_id=client.user_id, session_id=planted)
    visitor.login()

    assert client.session_id != first
    assert visitor.session_id != planted
    assert not is_alive(accounts, first)
    assert is_alive(accounts, client.session_id)
    again = accounts.call("session.anon", headers={"x-toto-session-id": planted})
    assert again.result["count"] == 1
    assert again.result["session_id"] != planted


def test_row_12_state_of_a_stranger_is_not_the_users(accounts: Cluster) -> None:
    """What somebody put into the session before the login does not come along."""
    user_id = new_client(accounts).user_id
    planted = accounts.call("session.anon").result["session_id"]
    visitor = Client(accounts, user_id=user_id, session_id=planted)
    visitor.login()

    assert visitor.call("session.recall").result == {}


def test_a_failed_login_ends_nothing(accounts: Cluster) -> None:
    """The session that a wrong password came with goes on."""
    client = new_client(accounts)
    headers = {"x-toto-session-id": client.session_id}
    parameters = {"user_id": client.user_id, "password": "wrong"}

    answer = accounts.call("account.login", parameters, headers).json()

    assert answer["error"]["code"] == 1005
    assert is_alive(accounts, client.session_id)


def test_a_logout_ends_this_session_only(accounts: Cluster) -> None:
    """At once, for every later use of the id; other devices stay."""
    client = new_client(accounts)
    other = client.again()
    ended = client.session_id

    assert client.call("account.logout").result == {"authenticated": False}
    assert not is_alive(accounts, ended)
    assert is_alive(accounts, other.session_id)


def test_all_sessions_of_a_user_can_be_ended(accounts: Cluster) -> None:
    """``clear_sessions`` ends every one of this user's and none of another's."""
    client, stranger = new_client(accounts), new_client(accounts)
    other = client.again()

    accounts.call("session.clear", {"user_id": client.user_id})

    assert not is_alive(accounts, client.session_id)
    assert not is_alive(accounts, other.session_id)
    assert is_alive(accounts, stranger.session_id)


@pytest.mark.parametrize("method", ["account.update", "session.change"])
def test_row_13_a_new_password_ends_other_sessions(accounts: Cluster, method: str) -> None:
    """Who had got in with the old password is out; the old password opens nothing."""
    client = new_client(accounts)
    other = client.again()
    change = {"user_id": client.user_id, "password": PASSWORD, "new_password": NEW_PASSWORD}

    answer = client.call(method, **change).json()

    assert "result" in answer, answer
    assert not is_alive(accounts, other.session_id)
    assert login(accounts, client.user_id, PASSWORD).json() == WRONG_LOGIN
    assert is_alive(accounts, login(accounts, client.user_id, NEW_PASSWORD).result["session_id"])


def test_who_changes_the_password_stays_logged_in(accounts: Cluster) -> None:
    """The answer's session is one of the user's that lives."""
    client = new_client(accounts)

    answer = client.call("account.update", password=PASSWORD, new_password=NEW_PASSWORD).json()

    assert answer["session"]["user_id"] == client.user_id
    assert is_alive(accounts, answer["session"]["session_id"])


@pytest.mark.parametrize("method", ["account.update", "session.change"])
def test_a_new_password_needs_the_present_one(accounts: Cluster, method: str) -> None:
    """With a wrong one, or none, nothing changes and no session ends."""
    client = new_client(accounts)
    other = client.again()
    given = {"user_id": client.user_id, "password": "wrong", "new_password": NEW_PASSWORD}

    wrong = client.call(method, **given).error
    if method == "account.update":
        missing = client.call(method, new_password=NEW_PASSWORD).error
        assert missing["code"] in (1003, 1005)

    assert wrong == WRONG_LOGIN["error"]
    assert is_alive(accounts, client.session_id)
    assert is_alive(accounts, other.session_id)
    assert login(accounts, client.user_id, PASSWORD).result["user_id"] == client.user_id


def test_row_20_a_generated_password_works_once_it_is_known(accounts: Cluster) -> None:
    """It is long, opens the account, and ends what was open before."""
    client = new_client(accounts)

    passwords = [
        accounts.call("session.generate", {"user_id": client.user_id}).result for _ in range(2)
    ]

    assert passwords[0] != passwords[1]
    assert all(len(password) >= 20 for password in passwords)
    assert not is_alive(accounts, client.session_id)
    assert login(accounts, client.user_id, passwords[0]).json() == WRONG_LOGIN
    assert login(accounts, client.user_id, passwords[1]).result["user_id"] == client.user_id
