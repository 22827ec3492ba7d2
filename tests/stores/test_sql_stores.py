"""SQL databases: many processes at once, and what a file holds."""

import logging
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from toto._core.kinds import Secret, SettingsError
from toto._core.stores.record import session_digest
from toto._core.stores.settings import StoreSettings
from toto._core.stores.sql_database import open_sql_database
from toto._core.stores.store import Credentials, StoreUnavailable
from toto_testkit.store_processes import create_accounts, create_sessions, in_processes
from toto_testkit.stores import (
    SQL_STORE_NAMES,
    at_once,
    load_one,
    make_record,
    open_database,
    store_settings,
)

REFUSALS = {
    "cannot be stored: a value does not fit its column (points)",
    "cannot be stored: the column points changes the value",
    "the database refuses the properties",
}


@pytest.fixture(params=SQL_STORE_NAMES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreSettings]:
    """Give the settings of an empty database of each kind."""
    with store_settings(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def sqlite_settings(tmp_path: Path) -> StoreSettings:
    """Name a file that is not there."""
    return StoreSettings(database="sqlite", sqlite_path=tmp_path / "toto.db")


@pytest.fixture
def meeting_place(tmp_path: Path) -> Path:
    """Where processes wait for each other."""
    directory = tmp_path / "meeting"
    directory.mkdir()
    return directory


def table_name(settings: StoreSettings, name: str) -> str:
    return f"{settings.table_prefix}{name}"


def test_processes_begin_at_once(settings: StoreSettings, meeting_place: Path) -> None:
    """On an empty database nobody fails, and each account is created by one of them."""
    user_ids = [f"user {number}" for number in range(5)]
    # A file has no server that could help: there the most processes try.
    count = 6 if settings.database == "sqlite" else 3

    created = in_processes(count, meeting_place, partial(create_accounts, settings, user_ids))

    assert [sum(of_user) for of_user in zip(*created, strict=True)] == [1, 1, 1, 1, 1]


@pytest.mark.parametrize("attempt", range(3))
def test_eight_openings_begin_at_once(settings: StoreSettings, attempt: int) -> None:
    """Nor does anybody fail within a process, where all come closer together."""

    def create(index: int) -> bool:
        with closing(open_database(settings)) as database:
            return database.accounts.create("zoe", f"hash {index}", {})

    assert sorted(at_once(create)) == [False] * 7 + [True]


def test_first_use_waits_for_a_writer(sqlite_settings: StoreSettings) -> None:
    """A file that another program is writing, and that is no WAL file yet, is no error."""
    path = sqlite_settings.sqlite_path
    with (
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other,
        closing(open_database(sqlite_settings)) as database,
    ):
        other.execute("BEGIN IMMEDIATE")
        commit = threading.Timer(0.2, other.execute, ["COMMIT"])
        commit.start()

        assert database.counters.hit("key", 60) == 1

        commit.join()
        assert other.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


def test_file_that_is_no_database(sqlite_settings: StoreSettings) -> None:
    """It makes the store unavailable at once, and is left as it was."""
    sqlite_settings.sqlite_path.write_bytes(b"precious " * 1000)
    with closing(open_database(sqlite_settings)) as database:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            database.sessions.create(make_record())
        assert time.monotonic() - began < 2

    assert sqlite_settings.sqlite_path.read_bytes() == b"precious " * 1000


def test_four_processes_write_one_file(sqlite_settings: StoreSettings, meeting_place: Path) -> None:
    """Eight hundred sessions of four processes that write at once are all there."""
    ids = in_processes(4, meeting_place, partial(create_sessions, sqlite_settings, 200))

    with closing(open_database(sqlite_settings)) as database:
        for index, of_process in enumerate(ids):
            users = [record and record.user_id for record in database.sessions.load(of_process)]
            assert users == [f"user {index}"] * 200


def test_opening_connects_to_nothing(sqlite_settings: StoreSettings) -> None:
    """No file, and no server asked, until the first use."""
    remote = StoreSettings(database="postgres", db_host="127.0.0.1", db_port=1)

    open_database(sqlite_settings).close()
    open_database(remote).close()

    assert not sqlite_settings.sqlite_path.exists()


def test_reading_makes_no_file(sqlite_settings: StoreSettings) -> None:
    """Before anything is written there are no sessions, accounts or counts, and no file."""
    with closing(open_database(sqlite_settings)) as database:
        assert database.sessions.load(["a", "b"]) == [None, None]
        assert database.accounts.credentials("zoe") is None
        assert database.accounts.load("zoe", ["name"]) is None
        assert database.counters.counts(["key"]) == [0]

    assert not sqlite_settings.sqlite_path.exists()


def test_file_made_by_another_process_is_found(sqlite_settings: StoreSettings) -> None:
    """A database that was opened and read before the file was there reads it afterwards."""
    with (
        closing(open_database(sqlite_settings)) as reader,
        closing(open_database(sqlite_settings)) as writer,
    ):
        assert load_one(reader, "unknown") is None

        session_id = writer.sessions.create(make_record())

        assert load_one(reader, session_id) is not None


def test_file_is_private(sqlite_settings: StoreSettings) -> None:
    """Nobody else may read it or the two files that sqlite keeps beside it."""
    with closing(open_database(sqlite_settings)) as database:
        database.sessions.create(make_record())

        modes = [
            (path.name, path.stat().st_mode & 0o777)
            for path in sorted(sqlite_settings.sqlite_path.parent.iterdir())
        ]

    assert modes == [("toto.db", 0o600), ("toto.db-shm", 0o600), ("toto.db-wal", 0o600)]


def test_missing_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once and makes the store unavailable; once it is there all is well."""
    directory = tmp_path / "later"
    settings = StoreSettings(database="sqlite", sqlite_path=directory / "toto.db")
    with caplog.at_level(logging.INFO, "toto"), closing(open_database(settings)) as database:
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                database.sessions.load(["a"])
        (line,) = [record.getMessage() for record in caplog.records]
        assert str(directory / "toto.db") in line
        assert "No such file or directory" in line

        directory.mkdir()
        session_id = database.sessions.create(make_record())

        assert load_one(database, session_id) is not None
        assert "is available again" in caplog.records[-1].getMessage()


def test_tables_that_vanished_are_made_again(settings: StoreSettings) -> None:
    """A server that comes back empty costs one failed call at most."""
    with closing(open_database(settings)) as database:
        database.sessions.create(make_record())
        with database.handle.begin() as connection:
            connection.exec_driver_sql(f"DROP TABLE {table_name(settings, 'sessions')}")
        with pytest.raises(StoreUnavailable):
            database.sessions.load(["a"])

        session_id = database.sessions.create(make_record())

        assert load_one(database, session_id) is not None


def test_property_with_a_column_is_kept_there(settings: StoreSettings) -> None:
    """The column has the value, and the value comes back; others stay in the document."""
    accounts = table_name(settings, "accounts")
    with closing(open_database(settings)) as database:
        assert database.accounts.credentials("nobody") is None
        database.sessions.create(make_record())
        with database.handle.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {accounts} ADD COLUMN points INTEGER")
            connection.exec_driver_sql(f"ALTER TABLE {accounts} ADD COLUMN email VARCHAR(20)")

        assert database.accounts.create("zoe", "hash", {"points": 5, "name": "Zoe"}) is True
        assert database.accounts.update("zoe", {"email": "z@example.org"}) is True

        loaded = database.accounts.load("zoe", ["points", "email", "name", "user_id"])
        assert loaded == {
            "points": 5,
            "email": "z@example.org",
            "name": "Zoe",
            "user_id": "zoe",
        }
        with database.handle.connect() as connection:
            row = connection.execute(sa.text(f"SELECT points, email FROM {accounts}")).one()  # noqa: S608
        assert tuple(row) == (5, "z@example.org")


@pytest.mark.parametrize(
    "value", ["five", 2**40, [1], {"a": 1}, b"\xff"], ids=["text", "large", "list", "dict", "bytes"]
)
def test_value_that_does_not_fit_its_column(settings: StoreSettings, value: object) -> None:
    """A SMALLINT that is rounded, cut or refused is a ValueError in words of ours, which clients
    may see, and nothing is changed."""
    accounts = table_name(settings, "accounts")
    column_type = "SMALLINT CHECK (points < 1000)"
    with closing(open_database(settings)) as database:
        database.sessions.create(make_record())
        with database.handle.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {accounts} ADD COLUMN points {column_type}")
        database.accounts.create("zoe", "hash", {"points": 5, "name": "Zoe"})

        refusals = []
        with pytest.raises(ValueError) as refused:
            database.accounts.update("zoe", {"name": "Zora", "points": value})
        refusals.append(str(refused.value))
        with pytest.raises(ValueError) as refused:
            database.accounts.create("bob", "hash", {"points": value})
        refusals.append(str(refused.value))
        assert set(refusals) <= REFUSALS

        assert database.accounts.load("zoe", ["points", "name"]) == {"points": 5, "name": "Zoe"}
        assert database.accounts.credentials("bob") is None


def test_column_added_later_does_not_hide_old_values(settings: StoreSettings) -> None:
    """What the document had is loaded until the column has a value, and never after."""
    accounts = table_name(settings, "accounts")
    with closing(open_database(settings)) as database:
        database.accounts.create("zoe", "hash", {"email": "old"})
        with database.handle.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {accounts} ADD COLUMN email VARCHAR(20)")
    with closing(open_database(settings)) as database:
        assert database.accounts.load("zoe", ["email"]) == {"email": "old"}

        database.accounts.update("zoe", {"email": None})

        assert database.accounts.load("zoe", ["email"]) == {"email": None}


def test_record_of_another_session_is_none(
    settings: StoreSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """A row with another session's record, or with no record, is no session and a log line."""
    sessions = table_name(settings, "sessions")
    with closing(open_database(settings)) as database:
        first, second = (database.sessions.create(make_record()) for _ in range(2))
        change = f"UPDATE {sessions} SET record = :new WHERE digest = :digest"  # noqa: S608
        read = f"SELECT record FROM {sessions} WHERE digest = :digest"  # noqa: S608
        with database.handle.begin() as connection:
            of = {"digest": session_digest(first)}
            others = connection.execute(sa.text(read), {"digest": session_digest(second)}).scalar()
            connection.execute(sa.text(change), {"new": others} | of)
        assert database.sessions.load([first])[0] is None
        assert load_one(database, second) is not None
        with database.handle.begin() as connection:
            connection.execute(sa.text(change), {"new": b"\xc1junk"} | of)

        assert database.sessions.load([first])[0] is None

    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_expired_rows_are_deleted(settings: StoreSettings) -> None:
    """A minute after the last sweep a new session takes the expired ones away, and only them."""
    now = 1_000_000.0
    with closing(open_sql_database(settings, clock=lambda: now)) as database:
        for lasting_seconds in (10, 20, 1000):
            database.sessions.create(replace(make_record(), expires=now + lasting_seconds))
        database.counters.hit("key", 10)

        now += 61
        database.sessions.create(replace(make_record(), expires=now + 10))
        database.counters.hit("another key", 10)

        with database.handle.connect() as connection:
            left = [
                connection.execute(
                    sa.text(f"SELECT COUNT(*) FROM {table_name(settings, name)}")  # noqa: S608
                ).scalar()
                for name in ("sessions", "counters")
            ]
    assert left == [2, 1]


def test_counter_follows_the_clock(settings: StoreSettings) -> None:
    """The sum lasts until the very end of the first hit's time."""
    now = 1_000_000.0
    with closing(open_sql_database(settings, clock=lambda: now)) as database:
        assert database.counters.hit("key", 100) == 1
        now += 99
        assert database.counters.hit("key", 100) == 2
        assert database.counters.counts(["key"]) == [2]
        now += 1
        assert database.counters.counts(["key"]) == [0]
        assert database.counters.hit("key", 100) == 1
        now += 99
        assert database.counters.hit("key", 100) == 2


def test_session_follows_the_clock(settings: StoreSettings) -> None:
    """At the second when it expires a session is over, for load and for update."""
    now = 1_000_000.0
    with closing(open_sql_database(settings, clock=lambda: now)) as database:
        record = replace(make_record(), expires=now + 10)
        database.sessions.create(record)
        now += 9
        assert load_one(database, record.session_id) == record
        assert database.sessions.update(record) == record.session_id
        now += 1
        assert load_one(database, record.session_id) is None
        assert database.sessions.update(replace(record, expires=now + 100)) is None


def test_handle_has_transactions(settings: StoreSettings) -> None:
    """What a method does with the handle is undone when it fails there."""
    accounts = table_name(settings, "accounts")
    with closing(open_database(settings)) as database:
        database.accounts.create("zoe", "hash", {})

        with pytest.raises(ZeroDivisionError), database.handle.begin() as connection:
            connection.exec_driver_sql(f"UPDATE {accounts} SET generation = 7")  # noqa: S608
            raise ZeroDivisionError

        assert database.accounts.credentials("zoe") == Credentials("hash", 0)


def test_file_can_be_read_while_it_is_written(sqlite_settings: StoreSettings) -> None:
    """A reader does not wait for a transaction that is open elsewhere."""
    with closing(open_database(sqlite_settings)) as database:
        session_id = database.sessions.create(make_record())
        with closing(sqlite3.connect(sqlite_settings.sqlite_path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")

            assert load_one(database, session_id) is not None


@pytest.mark.parametrize(("database", "driver"), [("postgres", "psycopg"), ("mysql", "pymysql")])
def test_missing_driver(monkeypatch: pytest.MonkeyPatch, database: str, driver: str) -> None:
    """The error names what to install."""
    monkeypatch.setitem(sys.modules, driver, None)

    with pytest.raises(SettingsError, match=rf"pip install toto-gateway\[{database}\]"):
        open_sql_database(StoreSettings(database=database))


def test_prefix_that_is_too_long(sqlite_settings: StoreSettings) -> None:
    """PostgreSQL would cut the names of two tables to the same text."""
    with pytest.raises(SettingsError, match="table_prefix"):
        open_sql_database(replace(sqlite_settings, table_prefix="x" * 33))


@pytest.mark.parametrize("database", ["postgres", "mysql"])
def test_password_is_not_shown(database: str) -> None:
    """Neither the database nor its handle has it in its repr."""
    text = "hunter2"
    secret = Secret(text)
    opened = open_database(
        StoreSettings(database=database, postgres_password=secret, mysql_password=secret)
    )

    assert text not in repr(opened) + repr(opened.handle) + str(opened.handle.url)
    assert opened.handle.url.password == text
    opened.close()
