"""Accounts and sessions through ``DBConnection``, on sqlite and in memory."""

import hashlib
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto._core.settings import load
from toto._core.stores.settings import StoreSettings
from toto._core.stores.sql_database import open_sql_database
from toto.dbconnection import DBConnection
from toto.exceptions import TotoException
from toto_testkit.memory_stores import Memory, open_memory_database
from toto_testkit.memory_world import WRONG_LOGIN, World, refusal

ADDRESS = "192.0.2.7"


@pytest.fixture(params=["sqlite", "memory"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DBConnection]:
    """A connection to a real database, and to one in memory."""
    keywords = {"sqlite_path": tmp_path / "toto.db", "account_fields": "name"}
    settings = load(StoreSettings, keywords=keywords).settings
    database = (
        open_sql_database(settings)
        if request.param == "sqlite"
        else open_memory_database(time.time)[0]
    )
    yield DBConnection(database, settings)
    database.close()


def test_login(connection: DBConnection) -> None:
    """An account can be created, logged in to, and its properties read."""
    connection.create_account("Ann", "pw", {"name": "Ann"}, age=7)
    session = connection.create_session("ann", "pw")
    assert session.user_id == "ann"
    assert len(session.session_id) == 22
    assert len(session.key) == 43
    account = session.get_account("name", "age")
    assert account is not None
    assert (account["name"], account["age"], account["password"]) == ("Ann", 7, None)
    account["name"] = "Bea"
    account.save()
    assert connection.load_properties("ann", ["name"]) == {"name": "Bea"}


def test_session_lives_in_the_store(connection: DBConnection) -> None:
    """A saved session is found by its id with its variables, and not after its removal."""
    session = connection.create_session(key="given")
    session["a"] = [1, b"2"]
    session.save()
    found = connection.retrieve_session(session.session_id, "hmac", b"data")
    assert found is not None
    assert (found.user_id, found.key, found.state) == (None, "given", {"a": [1, b"2"]})
    connection.remove_session(session.session_id)
    connection.remove_session(session.session_id)
    assert connection.retrieve_session(session.session_id) is None
    assert refusal(session.save) == (1007, "The session has ended.")
    assert refusal(session.refresh) == (1007, "The session has ended.")


@pytest.mark.parametrize("session_id", ["", "x", "\0", "\ud800", "a" * 100_000, None, 5, b"x"])
def test_any_session_id(connection: DBConnection, session_id: Any) -> None:
    """Whatever is no session id is no session."""
    assert connection.retrieve_session(session_id) is None


def test_user_id_taken(connection: DBConnection) -> None:
    """A second account of a user id is refused, in any spelling, and changes nothing."""
    connection.create_account("ann", "pw")
    expected = (1006, "User ID already in use.")
    assert refusal(lambda: connection.create_account(" ANN ", "other")) == expected
    assert connection.create_session("ann", "pw").user_id == "ann"


def test_one_of_two_creations_wins(connection: DBConnection) -> None:
    """Of accounts created at the same time under one user id, one is made."""
    outcomes: list[int] = []
    barrier = threading.Barrier(4)

    def create(password: str) -> None:
        barrier.wait()
        try:
            connection.create_account("ann", password)
            outcomes.append(0)
        except TotoException as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=create, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [0, 1006, 1006, 1006]


def test_bad_passwords_of_new_accounts(connection: DBConnection) -> None:
    """An empty password is missing, and one over 1024 bytes too long."""
    empty = (1003, "Missing parameters: password")
    long = (1000, "A password may have 1024 bytes at most.")
    values: list[Any] = ["", None, 5]
    for value in values:
        assert refusal(connection.create_account, "ann", value) == empty
    assert refusal(lambda: connection.create_account("ann", "é" * 513)) == long
    connection.create_account("ann", "é" * 512)
    assert connection.create_session("ann", "é" * 512).user_id == "ann"


@pytest.mark.parametrize("password", ["", None, 5, "x" * 2000, "\ud800", "pw ", "PW"])
def test_bad_passwords_of_logins(connection: DBConnection, password: Any) -> None:
    """Whatever is not the password is a wrong one."""
    connection.create_account("ann", "pw")
    assert refusal(lambda: connection.create_session("ann", password)) == WRONG_LOGIN


def test_property_that_cannot_be_stored(connection: DBConnection) -> None:
    """A property the store cannot keep is error 1000, and neither account nor change is made."""
    bad = {"name": 2**70}
    assert refusal(lambda: connection.create_account("ann", "pw", bad))[0] == 1000
    connection.create_account("ann", "pw")
    assert refusal(lambda: connection.update_properties("ann", {"x": 1, **bad}))[0] == 1000
    assert connection.load_properties("ann", ["x", "name"]) == {}


def test_reserved_values_are_ignored(connection: DBConnection) -> None:
    """What a client sends beside its properties, such as its password, is not stored as one."""
    connection.create_account("ann", "pw", {"password": "x", "user_id": "bob", "generation": 9})
    assert connection.create_session("ann", "pw").user_id == "ann"


def test_login_without_password(connection: DBConnection) -> None:
    """``verify_password=False`` needs no password, but an account."""
    connection.create_account("ann", "pw")
    assert connection.create_session("ANN", verify_password=False).user_id == "ann"
    assert refusal(lambda: connection.create_session("bob", verify_password=False)) == WRONG_LOGIN
    assert refusal(lambda: connection.create_session("\0", verify_password=False)) == WRONG_LOGIN


def test_change_password(connection: DBConnection) -> None:
    """A new password needs the present one, and ends all of the user's sessions."""
    connection.create_account("ann", "old")
    connection.create_account("bob", "pw")
    session, other = connection.create_session("ann", "old"), connection.create_session("bob", "pw")
    assert refusal(lambda: connection.change_password("ann", "bad", "new")) == WRONG_LOGIN
    assert refusal(lambda: connection.change_password("eve", "old", "new")) == WRONG_LOGIN
    missing = (1003, "Missing parameters: new_password")
    assert refusal(lambda: connection.change_password("ann", "old", "")) == missing
    assert refusal(lambda: connection.change_password("ann", "old", "x" * 2000))[0] == 1000
    assert connection.retrieve_session(session.session_id) is not None
    connection.change_password("Ann", "old", "new")
    assert connection.retrieve_session(session.session_id) is None
    assert connection.retrieve_session(other.session_id) is not None
    assert refusal(lambda: connection.create_session("ann", "old")) == WRONG_LOGIN
    assert connection.create_session("ann", "new").user_id == "ann"


def test_clear_sessions(connection: DBConnection) -> None:
    """All sessions of a user end, and only those; unknown users are no error."""
    connection.create_account("ann", "pw")
    sessions = [connection.create_session("ann", verify_password=False) for _ in range(3)]
    anonymous = connection.create_session()
    connection.clear_sessions("ANN")
    connection.clear_sessions("nobody")
    connection.clear_sessions("\0")
    assert [connection.retrieve_session(each.session_id) for each in sessions] == [None] * 3
    assert connection.retrieve_session(anonymous.session_id) is not None


def test_session_made_while_the_password_changes() -> None:
    """A login with the old password does not survive a change of the password meanwhile."""
    world = World()
    world.connection.create_account("ann", "old")
    created: list[str] = []

    def change_before_creation(fn: Any, *args: Any, **kwargs: Any) -> Any:
        if fn == world.database.sessions.create:
            created.append(args[0].session_id)
            world.connection.change_password("ann", "old", "new")
        return fn(*args, **kwargs)

    late = DBConnection(
        world.database, world.settings, clock=world.clock, call=change_before_creation
    )
    assert refusal(lambda: late.create_session("ann", "old")) == WRONG_LOGIN
    assert len(created) == 1
    assert world.connection.retrieve_session(created[0]) is None


def test_change_of_password_cut_short() -> None:
    """When the store goes away right after the change, no old session is left alive."""
    world = World()
    world.connection.create_account("ann", "old")
    session = world.connection.create_session("ann", "old")

    def away_after_the_change(fn: Any, *args: Any, **kwargs: Any) -> Any:
        result = fn(*args, **kwargs)
        world.memory.is_away = fn == world.database.accounts.set_password
        return result

    unlucky = DBConnection(
        world.database, world.settings, clock=world.clock, call=away_after_the_change
    )
    assert refusal(unlucky.change_password, "ann", "old", "new")[0] == 1107
    world.memory.is_away = False
    assert world.connection.retrieve_session(session.session_id) is None
    assert world.connection.create_session("ann", "new").user_id == "ann"


def test_count(connection: DBConnection) -> None:
    """Events are counted by key, for instance nonces that were used."""
    assert [connection.count(key, 60.0) for key in ("a", "a", "b")] == [1, 2, 1]


def test_every_operation_is_guarded() -> None:
    """No store operation bypasses the function that limits its time."""
    world = World()
    calls: list[str] = []

    def guard(fn: Any, *args: Any, **kwargs: Any) -> Any:
        before = len(world.memory.operations)
        result = fn(*args, **kwargs)
        calls.extend(world.memory.operations[before:])
        return result

    guarded = DBConnection(world.database, world.settings, clock=world.clock, call=guard)
    guarded.create_account("ann", "pw")
    session = guarded.create_session("ann", "pw", address=ADDRESS)
    session["a"] = 1
    session.save()
    session.refresh()
    account = session.get_account("x")
    assert account is not None
    account["x"] = 1
    account.save()
    refusal(lambda: guarded.create_session("ann", "bad", address=ADDRESS))
    guarded.change_password("ann", "pw", "new")
    guarded.generate_password("ann")
    guarded.remove_session("x")
    guarded.count("x", 1.0)
    assert calls == world.memory.operations
    assert len(calls) > 25


def test_store_away() -> None:
    """While the store is away logins and sessions fail with 1107, and work once it is back."""
    world = World()
    world.connection.create_account("ann", "pw")
    session = world.connection.create_session("ann", "pw")
    world.memory.is_away = True
    assert refusal(lambda: world.connection.create_session("ann", "pw"))[0] == 1107
    assert refusal(lambda: world.connection.retrieve_session(session.session_id))[0] == 1107
    assert refusal(session.save)[0] == 1107
    world.memory.is_away = False
    assert world.connection.create_session("ann", "pw").user_id == "ann"
    assert world.connection.retrieve_session(session.session_id) is not None


def test_row_02_expired_sessions_do_not_come_back(connection: DBConnection) -> None:
    """A session that has expired is gone, and neither saving nor renewing brings it back."""
    session = connection.create_session()
    record = session.loaded_record()
    session.expires = time.time() - 1
    session.save()
    assert connection.retrieve_session(record.session_id) is None
    session.expires = time.time() + 1000
    assert refusal(session.save) == (1007, "The session has ended.")
    assert connection.renew(session) is False
    assert connection.retrieve_session(record.session_id) is None


def test_row_11_session_ids_have_128_bits(connection: DBConnection) -> None:
    """Session ids are 22 characters of which each takes all 64 values, but the last only 4."""
    ids = [connection.create_session().session_id for _ in range(60)]
    assert {len(each) for each in ids} == {22}
    assert len({c for each in ids for c in each[:21]}) == 64
    assert {each[21] for each in ids} <= set("AQgw")


def test_row_12_login_ends_the_presented_session(connection: DBConnection) -> None:
    """A login makes a new id and key; the session presented ends, and its variables with it."""
    connection.create_account("ann", "pw")
    anonymous = connection.create_session()
    anonymous["cart"] = [1]
    anonymous.save()
    presented = anonymous.session_id
    refusal(lambda: connection.create_session("ann", "bad", replaces=presented))
    assert connection.retrieve_session(presented) is not None
    session = connection.create_session("ann", "pw", replaces=presented)
    assert session.session_id != presented
    assert session.key != anonymous.key
    assert session.state == {}
    assert connection.retrieve_session(presented) is None
    assert connection.retrieve_session(session.session_id) is not None


def test_row_20_generated_passwords(connection: DBConnection) -> None:
    """A generated password has 128 random bits, is set, and ends the user's sessions."""
    connection.create_account("ann", "pw")
    session = connection.create_session("ann", "pw")
    first, second = connection.generate_password("Ann"), connection.generate_password("ann")
    assert (len(first), len(second)) == (22, 22)
    assert first != second
    assert connection.retrieve_session(session.session_id) is None
    assert refusal(lambda: connection.create_session("ann", "pw")) == WRONG_LOGIN
    assert refusal(lambda: connection.create_session("ann", first)) == WRONG_LOGIN
    assert connection.create_session("ann", second).user_id == "ann"
    assert refusal(lambda: connection.generate_password("nobody")) == WRONG_LOGIN
    assert refusal(lambda: connection.generate_password("\0")) == WRONG_LOGIN


def test_row_21_old_hashes_are_replaced_at_login(connection: DBConnection) -> None:
    """A hash of Toto's still lets the user in, once; then it is an argon2id hash."""
    salt = "$p5k2$$abcdefgh"
    derived = hashlib.pbkdf2_hmac("sha1", b"pw", salt.encode(), 400, 24)
    old = f"{salt}${b64encode(derived, b'./').decode()}"
    assert connection.accounts.create("ann", old, {})
    assert refusal(lambda: connection.create_session("ann", "bad")) == WRONG_LOGIN
    untouched = connection.accounts.credentials("ann")
    assert untouched is not None
    assert untouched.password_hash == old
    session = connection.create_session("ann", "pw")
    credentials = connection.accounts.credentials("ann")
    assert credentials is not None
    assert credentials.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert connection.create_session("ann", "pw").user_id == "ann"
    assert connection.retrieve_session(session.session_id) is not None


def test_a_login_does_not_need_the_new_hash(caplog: pytest.LogCaptureFixture) -> None:
    """When an old hash cannot be replaced the user is let in all the same; the log tells it."""
    world = World()
    salt = "$p5k2$$abcdefgh"
    derived = hashlib.pbkdf2_hmac("sha1", b"pw", salt.encode(), 400, 24)
    old = f"{salt}${b64encode(derived, b'./').decode()}"
    assert world.database.accounts.create("ann", old, {})

    def read_only(fn: Any, *args: Any, **kwargs: Any) -> Any:
        if fn == world.database.accounts.set_password:
            raise OSError(f"cannot write {args}")
        return fn(*args, **kwargs)

    connection = DBConnection(world.database, world.settings, clock=world.clock, call=read_only)
    assert connection.create_session("ann", "pw").user_id == "ann"
    assert [line.getMessage() for line in caplog.records] == [
        "an old password hash could not be replaced: OSError"
    ]


def test_an_address_may_be_a_property(connection: DBConnection) -> None:
    """The client's own address has another name."""
    connection.create_account("ann", "pw", address="1 Elm St")
    assert connection.load_properties("ann", ["address"]) == {"address": "1 Elm St"}


def test_memory_is_what_the_handle_shows() -> None:
    """``db`` is the database's own handle."""
    world = World()
    assert isinstance(world.connection.db, Memory)
