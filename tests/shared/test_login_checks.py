"""User ids, and what a login tells and allows to those who guess."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto import secret
from toto._core.settings import load
from toto._core.stores.login_throttle import address_prefix
from toto._core.stores.settings import StoreSettings
from toto._core.stores.sql_database import open_sql_database
from toto._core.stores.user_ids import normalise_user_id
from toto.dbconnection import DBConnection
from toto.exceptions import TotoException
from toto_testkit.memory_stores import open_memory_database
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


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the passwords that are compared with an argon2 hash."""
    seen: list[str] = []
    original = secret._is_hashed_to

    def counted(password: bytes, pwhash: str) -> bool:
        seen.append(pwhash)
        return original(password, pwhash)

    monkeypatch.setattr(secret, "_is_hashed_to", counted)
    return seen


def test_row_22_unknown_users_cost_the_same(
    connection: DBConnection, verifications: list[str]
) -> None:
    """Unknown and malformed users get the text of a wrong password after the same work."""
    connection.create_account("ann", "pw")
    attempts = {"ann": 0.0, "nobody": 0.0, "mal\0formed": 0.0}
    for user_id in attempts:
        verifications.clear()
        started = time.perf_counter()
        assert refusal(connection.create_session, user_id, "bad") == WRONG_LOGIN
        attempts[user_id] = time.perf_counter() - started
        assert len(verifications) == 1
        assert verifications[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert max(attempts.values()) < 5 * min(attempts.values())


def test_row_22_the_same_store_operations() -> None:
    """A wrong password asks the store for the same as an unknown user does."""
    world = World()
    world.connection.create_account("ann", "pw")
    asked = []
    for user_id in ("ann", "nobody"):
        world.memory.operations.clear()
        refusal(world.connection.create_session, user_id, "bad", address="::")
        asked.append(list(world.memory.operations))
    assert asked[0] == asked[1]


def throttled(world: World, user_id: str, password: str, address: str) -> bool:
    """Tell whether a login is refused for too many attempts."""
    try:
        world.connection.create_session(user_id, password, address=address)
    except TotoException as error:
        if error.code == 1103:
            assert error.value == "Too many attempts; try again later."
            assert getattr(error, "retry_after_seconds", None) == 900.0
            return True
    return False


def test_row_23_attempts_on_an_account_are_limited(verifications: list[str]) -> None:
    """After so many attempts the right password is refused too, before any hashing, for a while."""
    world = World(login_attempts=3)
    world.connection.create_account("ann", "pw")
    assert [throttled(world, "ann", "bad", ADDRESS) for _ in range(3)] == [False] * 3
    verifications.clear()
    assert throttled(world, "ANN", "pw", ADDRESS)
    assert refusal(
        lambda: world.connection.change_password("ann", "pw", "new", address=ADDRESS)
    ) == (1103, "Too many attempts; try again later.")
    assert verifications == []
    assert not throttled(world, "ann", "pw", "192.0.2.8")
    world.clock.now += 899
    assert throttled(world, "ann", "pw", ADDRESS)
    world.clock.now += 1
    assert not throttled(world, "ann", "pw", ADDRESS)


def test_row_23_unknown_users_are_throttled_alike() -> None:
    """Whether the user exists does not show in the limit."""
    world = World(login_attempts=2)
    world.connection.create_account("ann", "pw")
    for user_id in ("ann", "nobody", "\0"):
        outcomes = [throttled(world, user_id, "bad", ADDRESS) for _ in range(3)]
        assert outcomes == [False, False, True]


def test_row_23_success_forgets_attempts() -> None:
    """A login that succeeds clears the account's count, and counts nothing for the address."""
    world = World(login_attempts=2, login_attempts_per_address=2)
    world.connection.create_account("ann", "pw")
    for _ in range(5):
        assert not throttled(world, "ann", "pw", ADDRESS)
    assert not throttled(world, "ann", "bad", ADDRESS)
    assert not throttled(world, "ann", "pw", ADDRESS)
    assert not throttled(world, "ann", "bad", ADDRESS)
    assert throttled(world, "ann", "pw", ADDRESS)


def test_row_23_attempts_from_an_address_are_limited() -> None:
    """An address that tries many accounts is refused; an IPv6 /64 counts as one address."""
    world = World(login_attempts_per_address=3)
    world.connection.create_account("ann", "pw")
    for number in range(3):
        assert not throttled(world, f"user{number}", "bad", f"2001:db8::{number}")
    assert throttled(world, "ann", "pw", "2001:db8::ffff")
    assert not throttled(world, "ann", "pw", "2001:db8:0:1::1")
    assert not throttled(world, "ann", "pw", ADDRESS)


def test_row_23_limits_can_be_off() -> None:
    """0 is no limit, and without an address only the account counts."""
    world = World(login_attempts=0, login_attempts_per_address=0)
    world.connection.create_account("ann", "pw")
    assert not any(throttled(world, "ann", "bad", ADDRESS) for _ in range(12))
    assert world.memory.counters == {}
    strict = World(login_attempts_per_address=1)
    assert not any(throttled(strict, f"user{number}", "bad", "") for number in range(3))


def test_row_23_attempts_on_an_account_from_everywhere_are_limited(
    verifications: list[str],
) -> None:
    """Ten addresses use up an account's attempts for all that are not its user's."""
    world = World(login_attempts=2, login_attempts_per_address=0)
    world.connection.create_account("ann", "pw")
    assert not throttled(world, "ann", "pw", "192.0.2.200")
    for number in range(10):
        assert not throttled(world, "ann", "bad", f"192.0.2.{number}")
        assert not throttled(world, "ann", "bad", f"192.0.2.{number}")
    verifications.clear()
    assert throttled(world, "ann", "pw", "192.0.2.100")
    assert throttled(world, "ann", "pw", "")
    assert verifications == []
    assert not throttled(world, "ann", "pw", "192.0.2.200")
    assert not throttled(world, "bob", "bad", "192.0.2.100")
    world.clock.now += 900
    assert not throttled(world, "ann", "pw", "192.0.2.100")


def test_row_23_the_owner_s_address_is_known_for_30_days() -> None:
    """Counted from the last login or the creation of the account, not from the first."""
    world = World(login_attempts=1, login_attempts_per_address=0)
    world.connection.create_account("ann", "pw", client_address=ADDRESS)
    days = 86400.0

    def attacked() -> bool:
        for number in range(10):
            throttled(world, "ann", "bad", f"198.51.100.{number}")
        return throttled(world, "ann", "pw", ADDRESS)

    assert not attacked()
    world.clock.now += 29 * days
    assert not attacked()
    world.clock.now += 29 * days
    assert not attacked()
    world.clock.now += 31 * days
    assert attacked()


def test_row_23_creations_from_an_address_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many the next is refused before any hashing, whether the user id is taken or not."""
    world = World(login_attempts_per_address=2)
    hashed: list[str] = []
    original = secret.password_hash

    def counted(password: str) -> str:
        hashed.append(password)
        return original(password)

    monkeypatch.setattr(secret, "password_hash", counted)

    def create(user_id: str, address: str = ADDRESS) -> int:
        try:
            world.connection.create_account(user_id, "pw", client_address=address)
        except TotoException as error:
            if error.code == 1103:
                assert getattr(error, "retry_after_seconds", None) == 900.0
            return error.code
        return 0

    assert [create(name) for name in ("ann", "ann", "bob", "ann")] == [0, 1006, 1103, 1103]
    assert hashed == ["pw"]
    assert create("bob", "192.0.2.8") == 0
    assert [create(f"eve{number}", "") for number in range(4)] == [0, 0, 0, 0]
    assert refusal(world.connection.create_account, "x", "", client_address=ADDRESS)[0] == 1003
    world.clock.now += 900
    assert create("cat") == 0
    free = World(login_attempts_per_address=0)
    for number in range(4):
        free.connection.create_account(f"ann{number}", "pw", client_address=ADDRESS)


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_row_23_address_prefixes(address: str, prefix: str) -> None:
    """IPv4 counts whole, in either notation, and IPv6 by its /64."""
    assert address_prefix(address) == prefix


@pytest.mark.parametrize(
    ("user_id", "normal"),
    [
        ("Ann", "ann"),
        ("  ann ", "ann"),
        ("Straße", "strasse"),
        ("\uff21\uff2e\uff2e", "ann"),
        ("ﬁ", "fi"),
        ("e\u0301", "é"),
        ("\u03a3\u03a3", "\u03c3\u03c3"),
        ("ann\u00a0lee", "ann lee"),
        ("a" * 256, "a" * 256),
        ("é" * 128, "é" * 128),
        ("a" * 257, None),
        ("é" * 129, None),
        ("\ufdfa" * 20, None),
        ("", None),
        ("   ", None),
        ("a\0b", None),
        ("a\nb", None),
        ("a\u200bb", None),
        ("a\u202eb", None),
        ("a\u3164", None),
        ("a\ufe0f", None),
        ("\ud800", None),
        ("\ue000", None),
        ("\u0378", None),
        ("\u2028", None),
        (5, None),
        (["ann"], None),
        (b"ann", None),
    ],
)
def test_row_27_user_ids(user_id: Any, normal: str | None) -> None:
    """User ids have one form, in which nothing is invisible; the rest is refused."""
    assert normalise_user_id(user_id) == normal
    assert normal is None or normalise_user_id(normal) == normal


def test_row_27_invalid_user_ids_make_no_account(connection: DBConnection) -> None:
    """An account of a malformed user id is refused."""
    values: list[Any] = ["", "a\0b", "a" * 257, None, 5]
    for value in values:
        refused = refusal(connection.create_account, value, "pw")
        assert refused == (1010, "Invalid user ID.")
