"""The methods that applications re-export: accounts, and reports of clients' errors."""

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import toto.methods.account.create as create
import toto.methods.account.login as login
import toto.methods.account.logout as logout
import toto.methods.account.update as update
import toto.methods.client_error as client_error
from toto import secret
from toto._core.settings import load
from toto._core.stores.settings import StoreSettings
from toto._core.stores.sql_database import open_sql_database
from toto.dbconnection import DBConnection
from toto.session import TotoSession
from toto_testkit.memory_stores import SettableClock
from toto_testkit.memory_world import WRONG_LOGIN, refusal

ANN = {"user_id": "ann", "password": "pw"}
NOT_AUTHORIZED = (1004, "Not authorized")


class Handler:
    """One call with the credential it came with, as a worker's handler treats sessions."""

    def __init__(self, connection: DBConnection, presented: str = "") -> None:
        self.db_connection = connection
        self.session: TotoSession | None = None
        self.request = SimpleNamespace(remote_ip="192.0.2.7")
        self._presented = presented

    def retrieve_session(self, session_id: str | None = None) -> TotoSession | None:
        self.session = self.db_connection.retrieve_session(session_id or self._presented)
        return self.session

    def create_session(
        self, user_id: Any = None, password: Any = None, verify_password: bool = True
    ) -> TotoSession:
        self.session = self.db_connection.create_session(
            user_id,
            password,
            verify_password,
            address=self.request.remote_ip,
            replaces=self._presented,
        )
        return self.session


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[DBConnection]:
    keywords = {
        "sqlite_path": tmp_path / "toto.db",
        "account_fields": "name,colours,password",
        "login_attempts": 3,
    }
    settings = load(StoreSettings, keywords=keywords).settings
    database = open_sql_database(settings)
    yield DBConnection(database, settings)
    database.close()


@pytest.fixture
def ann(connection: DBConnection) -> str:
    """Return the id of a session of Ann's."""
    session_id: str = create.invoke(Handler(connection), {**ANN, "name": "Ann"})["session_id"]
    return session_id


def properties(connection: DBConnection) -> dict[str, Any] | None:
    return connection.load_properties("ann", ["name", "colours", "admin"])


def is_live(connection: DBConnection, session_id: str) -> bool:
    return connection.retrieve_session(session_id) is not None


def test_create(connection: DBConnection) -> None:
    """Creating an account logs in: the result is what the client needs of the new session."""
    handler = Handler(connection)
    result = create.invoke(handler, {"user_id": "Ann", "password": "pw", "colours": ["red"]})
    assert handler.session is not None
    assert result == {
        "session_id": handler.session.session_id,
        "expires": handler.session.expires,
        "user_id": "ann",
        "key": handler.session.key,
    }
    assert len(result["session_id"]) == 22
    assert len(result["key"]) == 43
    assert properties(connection) == {"colours": ["red"]}
    assert is_live(connection, result["session_id"])


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({}, (1003, "Missing parameters: password, user_id")),
        (None, (1003, "Missing parameters: password, user_id")),
        ({"user_id": "ann"}, (1003, "Missing parameters: password")),
        ({"user_id": "ann", "password": ""}, (1003, "Missing parameters: password")),
        ({"user_id": "", "password": "pw"}, (1010, "Invalid user ID.")),
        ({"user_id": "a\nb", "password": "pw"}, (1010, "Invalid user ID.")),
        ({"user_id": {"$ne": 1}, "password": "pw"}, (1010, "Invalid user ID.")),
    ],
)
def test_create_refused(connection: DBConnection, parameters: Any, refused: Any) -> None:
    """Without a user id or a password that can be used there is no account and no session."""
    handler = Handler(connection)
    assert refusal(create.invoke, handler, parameters) == refused
    assert handler.session is None


def test_create_taken(connection: DBConnection, ann: str) -> None:
    """A taken user id is error 1006, and whoever asked is not logged in."""
    handler = Handler(connection)
    parameters = {**ANN, "password": "other"}
    assert refusal(create.invoke, handler, parameters) == (1006, "User ID already in use.")
    assert handler.session is None


def test_login(connection: DBConnection, ann: str) -> None:
    """A login returns the session; a form's lists of one value are taken as well."""
    result = login.invoke(Handler(connection), ANN)
    assert sorted(result) == ["expires", "key", "session_id", "user_id"]
    assert result["session_id"] != ann
    form = login.invoke(Handler(connection), {"user_id": ["ANN"], "password": ["pw"]})
    assert form["user_id"] == "ann"


@pytest.mark.parametrize(
    "parameters",
    [
        {"user_id": "ann", "password": "bad"},
        {"user_id": "eve", "password": "pw"},
        {"user_id": "", "password": "pw"},
        {"user_id": None, "password": None},
        {"user_id": ["ann", "bob"], "password": "pw"},
        {"user_id": "ann", "password": {"$ne": 1}},
    ],
)
def test_login_refused(connection: DBConnection, ann: str, parameters: Any) -> None:
    """Whatever is wrong, the text is the same, and there is not even an anonymous session."""
    handler = Handler(connection)
    assert refusal(login.invoke, handler, parameters) == WRONG_LOGIN
    assert handler.session is None


def test_row_12_login_replaces_the_session(connection: DBConnection, ann: str) -> None:
    """A login ends the session that the call came with, anonymous or not."""
    anonymous = connection.create_session().session_id
    for presented in (anonymous, ann):
        session_id = login.invoke(Handler(connection, presented), ANN)["session_id"]
        assert session_id != presented
        assert not is_live(connection, presented)
        assert is_live(connection, session_id)


def test_row_13_logout(connection: DBConnection, ann: str) -> None:
    """Logging out ends the session of the call; without a user's there is none to end."""
    handler = Handler(connection, ann)
    assert logout.invoke(handler, {}) == {"authenticated": False}
    assert handler.session is None
    assert not is_live(connection, ann)
    anonymous = connection.create_session().session_id
    for presented in (ann, anonymous, ""):
        assert refusal(logout.invoke, Handler(connection, presented), {}) == NOT_AUTHORIZED


def test_row_19_create_sets_allowed_fields_only(connection: DBConnection) -> None:
    """A field that is not allowed is told, and no account is made."""
    parameters = {**ANN, "name": "Ann", "admin": True, "generation": 9}
    told = (1004, "Not authorized to set: admin, generation")
    assert refusal(create.invoke, Handler(connection), parameters) == told
    create.invoke(Handler(connection), {**ANN, "name": "Ann"})
    assert properties(connection) == {"name": "Ann"}


@pytest.mark.parametrize("method", ["account.create", ["account.create"]])
def test_a_flat_call_s_method_is_no_property(connection: DBConnection, method: Any) -> None:
    """Without an envelope, or in a form, its name is among the parameters."""
    create.invoke(Handler(connection), {**ANN, "name": "Ann", "method": method})
    session_id = login.invoke(Handler(connection), ANN)["session_id"]
    parameters = {"name": "Bea", "method": method}
    updated = update.invoke(Handler(connection, session_id), parameters)
    assert updated == {"updated_fields": ["name"]}
    assert connection.load_properties("ann", ["name", "method"]) == {"name": "Bea"}


def test_row_19_update(connection: DBConnection, ann: str) -> None:
    """Allowed fields of the session's user are set, and the session stays."""
    result = update.invoke(
        Handler(connection, ann), {"user_id": " ANN", "name": "A", "colours": []}
    )
    assert result == {"updated_fields": ["colours", "name"]}
    assert properties(connection) == {"name": "A", "colours": []}
    assert update.invoke(Handler(connection, ann), {}) == {"updated_fields": []}
    assert update.invoke(Handler(connection, ann), None) == {"updated_fields": []}
    assert is_live(connection, ann)


@pytest.mark.parametrize("user_id", ["bob", "", None, "a\0", ["ann", "bob"]])
def test_row_19_update_of_another_user(connection: DBConnection, ann: str, user_id: Any) -> None:
    """Nobody changes another user's account, existing or not."""
    connection.create_account("bob", "pw", {"name": "Bob"})
    parameters = {"user_id": user_id, "name": "X"}
    assert refusal(update.invoke, Handler(connection, ann), parameters) == NOT_AUTHORIZED
    assert connection.load_properties("bob", ["name"]) == {"name": "Bob"}
    assert properties(connection) == {"name": "Ann"}


def test_row_19_update_needs_a_user(connection: DBConnection) -> None:
    """Neither no session nor an anonymous one is enough to change an account."""
    anonymous = connection.create_session().session_id
    for presented in ("", "x", anonymous):
        handler = Handler(connection, presented)
        assert refusal(update.invoke, handler, {"user_id": "ann", "name": "X"}) == NOT_AUTHORIZED


@pytest.mark.parametrize(
    ("field", "shown"),
    [("admin", "admin"), ("generation", "generation"), ("created", "created"), (5, "5")],
)
def test_row_19_update_of_other_fields(
    connection: DBConnection, ann: str, field: Any, shown: str
) -> None:
    """One field that is not allowed refuses the whole update, by its name."""
    parameters = {"name": "X", field: 1, "new_password": "new", "password": "pw"}
    refused = refusal(update.invoke, Handler(connection, ann), parameters)
    assert refused == (1004, f"Not authorized to set: {shown}")
    assert properties(connection) == {"name": "Ann"}
    assert is_live(connection, ann)


def test_row_19_refused_names_are_bounded(connection: DBConnection, ann: str) -> None:
    """A refusal does not repeat all that a client sent."""
    parameters = {f"{number:03}" * 100: 1 for number in range(100)}
    _, text = refusal(update.invoke, Handler(connection, ann), parameters)
    assert len(text) < 700


def test_row_19_new_password(connection: DBConnection, ann: str) -> None:
    """A new password needs the present one, ends all sessions and begins a new one."""
    second = login.invoke(Handler(connection), ANN)["session_id"]
    handler = Handler(connection, ann)
    result = update.invoke(handler, {"password": "pw", "new_password": "new", "name": "A"})
    assert result["updated_fields"] == ["name", "password"]
    assert sorted(result) == ["expires", "key", "session_id", "updated_fields", "user_id"]
    assert [is_live(connection, each) for each in (ann, second, result["session_id"])] == [
        False,
        False,
        True,
    ]
    assert properties(connection) == {"name": "A"}
    assert refusal(login.invoke, Handler(connection), ANN) == WRONG_LOGIN
    assert login.invoke(Handler(connection), {**ANN, "password": "new"})["user_id"] == "ann"


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({"new_password": "new"}, (1003, "Missing parameters: password")),
        ({"new_password": "new", "password": "bad"}, WRONG_LOGIN),
        ({"new_password": "new", "password": ""}, WRONG_LOGIN),
        ({"new_password": "", "password": "pw"}, (1003, "Missing parameters: new_password")),
        (
            {"new_password": "x" * 1025, "password": "pw"},
            (1000, "A password may have 1024 bytes at most."),
        ),
    ],
)
def test_row_19_new_password_refused(
    connection: DBConnection, ann: str, parameters: dict[str, Any], refused: Any
) -> None:
    """When the password cannot be changed nothing is, and the session stays."""
    handler = Handler(connection, ann)
    assert refusal(update.invoke, handler, {**parameters, "name": "X"}) == refused
    assert properties(connection) == {"name": "Ann"}
    assert is_live(connection, ann)
    assert login.invoke(Handler(connection), ANN)["user_id"] == "ann"


def test_row_19_property_that_cannot_be_stored(connection: DBConnection, ann: str) -> None:
    """With a property that cannot be stored the password stays as it was."""
    parameters = {"new_password": "new", "password": "pw", "name": 2**70}
    assert refusal(update.invoke, Handler(connection, ann), parameters)[0] == 1000
    assert is_live(connection, ann)
    assert login.invoke(Handler(connection), ANN)["user_id"] == "ann"


def test_row_21_passwords_are_argon2id(connection: DBConnection, ann: str) -> None:
    """What is stored of a password is its argon2id hash with the parameters of OWASP."""
    credentials = connection.accounts.credentials("ann")
    assert credentials is not None
    assert credentials.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert secret.verify_password("pw", credentials.password_hash)


def test_row_23_guessing_by_update_is_limited(connection: DBConnection, ann: str) -> None:
    """Whoever has a session only cannot guess the password for long."""
    parameters = {"new_password": "new", "password": "bad"}
    codes = [refusal(update.invoke, Handler(connection, ann), parameters)[0] for _ in range(4)]
    assert codes == [1005, 1005, 1005, 1103]
    assert refusal(login.invoke, Handler(connection), ANN)[0] == 1103


# -- reports of errors


def test_client_error_needs_both(connection: DBConnection) -> None:
    """A report has an error and a type."""
    handler = Handler(connection)
    refused = (1003, "Missing parameters: client_type")
    assert refusal(client_error.invoke, handler, {"client_error": "x"}) == refused


def test_client_error_is_logged(
    connection: DBConnection, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report is one line of the log."""
    monkeypatch.setattr(client_error, "_BUDGET", client_error.LineBudget(1))
    parameters = {"client_error": "boom", "client_type": "ios"}
    assert client_error.invoke(Handler(connection), parameters) == {"logged": True}
    assert client_error.invoke(Handler(connection), parameters) == {"logged": False}
    lines = [(line.name, line.levelno, line.getMessage()) for line in caplog.records]
    assert lines == [("toto.client_error", logging.ERROR, "client error from ios: boom")]


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("a\nb\x1b[31m\x00", "a\\nb\\x1b[31m\\x00"),
        ("\u202e\u2028\ud800", "\\u202e\\u2028\\ud800"),
        ({"a": ["b\n"]}, "{'a': ['b\\n']}"),
        (None, "None"),
        pytest.param(10**5000, "<int>", id="huge"),
        ("x" * 5000, "x" * 2048),
        ("é" * 5000, "é" * 1024),
        ("\n" * 5000, "\\n" * 1024),
    ],
)
def test_row_24_client_text_is_harmless(
    error: Any, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What strangers send into the log is one printable line of 2 KiB at most."""
    assert client_error.log_report(error, "web\r\n" * 100, client_error.LineBudget(1))
    sender = "web\\r\\n" * 18 + "we"
    assert caplog.records[0].getMessage() == f"client error from {sender}: {shown}"


def test_row_24_reports_are_rare() -> None:
    """After a burst there are no more lines than the budget gives back with time."""
    clock = SettableClock()
    budget = client_error.LineBudget(60, clock)
    taken = list(itertools.takewhile(bool, (budget.take() for _ in range(1000))))
    assert len(taken) == 60
    clock.now += 2.5
    assert [budget.take() for _ in range(4)] == [True, True, False, False]
    clock.now += 3600
    assert sum(budget.take() for _ in range(1000)) == 60
