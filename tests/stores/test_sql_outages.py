"""SQL databases away, silent, restarted, locked: errors in time, no error where none is needed.

The servers are reached through a relay, which does to connections what an outage does.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from toto._core.kinds import Secret
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import Database, StoreUnavailable
from toto_testkit.ports import free_port
from toto_testkit.stores import at_once, load_one, make_record, open_database, store_settings
from toto_testkit.tcp_relay import TcpRelay

TIMEOUT_SECONDS = 0.4
LATE_SECONDS = 1.5
"""What a call that has to end after 0.4 s may take on a busy machine."""
CONNECT_SECONDS = {"postgres": 3.5, "mysql": LATE_SECONDS}
"""psycopg waits 2 s at least for the first answer of a server."""
WRITERS = 30
WRITES = 100
TURNS_SECONDS = 0.8
"""In turn, none waits for more than 0.2 s; sqlite alone keeps a few waiting for longer."""

RECORD = make_record()
USES: dict[str, Callable[[Database], object]] = {
    "load": lambda database: database.sessions.load(["unknown"]),
    "create session": lambda database: database.sessions.create(make_record()),
    "update session": lambda database: database.sessions.update(RECORD, replaces=RECORD),
    "create account": lambda database: database.accounts.create("zoe", "hash", {"a": 1}),
    "credentials": lambda database: database.accounts.credentials("unknown"),
    "update account": lambda database: database.accounts.update("unknown", {"a": 1}),
    "hit": lambda database: database.counters.hit("key", 60),
    "counts": lambda database: database.counters.counts(["key"]),
}

ONE_OF_EACH_KIND = ("load", "create session", "update session", "credentials")
"""A lookup in the driver's words, a write, a transaction, and a SELECT of SQLAlchemy's."""


@pytest.fixture(params=["postgres", "mysql"])
def direct(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreSettings]:
    """Give the settings of an empty database on a server."""
    with store_settings(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def relay(direct: StoreSettings) -> Iterator[TcpRelay]:
    """Stand between the store and its server."""
    with TcpRelay(direct.db_port) as started:
        yield started


@pytest.fixture
def relayed(direct: StoreSettings, relay: TcpRelay) -> StoreSettings:
    """Give the settings that go through the relay, with the time limit of the defaults."""
    return replace(direct, db_port=relay.port, store_timeout=TIMEOUT_SECONDS)


@pytest.fixture
def database(relayed: StoreSettings) -> Iterator[Database]:
    """Open the database, not used yet."""
    with closing(open_database(relayed)) as opened:
        yield opened


def seconds_until_unavailable(call: Callable[[], object]) -> float:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        call()
    return time.monotonic() - began


def test_nothing_listens(direct: StoreSettings, caplog: pytest.LogCaptureFixture) -> None:
    """Every call fails at once; the log has one line, which tells where and not the password."""
    secret = Secret("hunter2")
    port = free_port()
    away = replace(direct, db_port=port, postgres_password=secret, mysql_password=secret)
    with closing(open_database(away)) as database:
        for use in USES.values():
            assert seconds_until_unavailable(partial(use, database)) < LATE_SECONDS

    (line,) = [record.getMessage() for record in caplog.records]
    assert f"127.0.0.1:{port}" in line
    assert "refused" in line
    assert "hunter2" not in line


def test_server_that_accepts_and_never_answers(
    relayed: StoreSettings, relay: TcpRelay, database: Database
) -> None:
    """The first use fails in time; once the server answers, the next one works."""
    relay.hold()
    limit_seconds = CONNECT_SECONDS[relayed.database]
    assert seconds_until_unavailable(lambda: database.sessions.load(["a"])) < limit_seconds

    relay.let_go()

    assert load_one(database, database.sessions.create(make_record())) is not None


def test_server_that_falls_silent(relay: TcpRelay, database: Database) -> None:
    """A call on a connection in use fails in time; once the server answers, the next works."""
    for name in ONE_OF_EACH_KIND:
        use = USES[name]
        database.accounts.load("warm", ["up"])
        relay.hold()

        assert seconds_until_unavailable(partial(use, database)) < LATE_SECONDS, name

        relay.let_go()
        use(database)


def test_restart_of_the_server_is_not_noticed(relay: TcpRelay, database: Database) -> None:
    """For any call, a connection that was lost while nobody used it is replaced without error."""
    for name, use in USES.items():
        database.accounts.load("warm", ["up"])
        connections = relay.accepted
        relay.cut()

        use(database)

        assert relay.accepted > connections, name


def test_restart_with_many_connections(
    direct: StoreSettings, relay: TcpRelay, database: Database
) -> None:
    """When all connections of the pool are lost, a lookup finds a new one."""
    with closing(open_database(direct)) as first:
        first.counters.hit("key", 60)  # makes the tables, which takes its time on a busy machine
    for _ in range(3):
        at_once(lambda index: database.counters.hit("key", 60))
    assert relay.accepted > 5
    relay.cut()

    assert database.sessions.load(["unknown"]) == [None]


def test_restart_counts_nothing_twice(relay: TcpRelay, database: Database) -> None:
    """A hit that had to be repeated is one hit, and an account that was created is new."""
    database.accounts.credentials("warm up")
    relay.cut()
    assert database.counters.hit("key", 60) == 1
    relay.cut()
    assert database.counters.hit("key", 60) == 2
    relay.cut()
    assert database.accounts.create("zoe", "hash", {}) is True


def test_lost_commit_is_not_repeated(relay: TcpRelay, database: Database) -> None:
    """What may have been done is an error and not done again: the hit counts once."""
    database.accounts.credentials("warm up")
    relay.lose_answer_to(b"COMMIT")

    with pytest.raises(StoreUnavailable):
        database.counters.hit("key", 60)

    assert database.counters.counts(["key"]) == [1]


def test_lost_answer_to_a_comparison_is_an_error(relay: TcpRelay, database: Database) -> None:
    """A record that may have been replaced is not said to be another's: the caller hears 1107."""
    old = make_record()
    new = replace(old, state=b"new")
    database.sessions.create(old)
    relay.lose_answer_to(b"COMMIT")

    with pytest.raises(StoreUnavailable):
        database.sessions.update(new, replaces=old)

    assert load_one(database, old.session_id) == new


def test_outage_is_told_once_and_its_end_too(
    relay: TcpRelay, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Three failed calls and three good ones are two lines."""
    database.sessions.load(["a"])
    with caplog.at_level(logging.INFO, "toto"):
        relay.hold()
        for _ in range(2):
            seconds_until_unavailable(lambda: database.sessions.load(["a"]))
        relay.let_go()
        for _ in range(3):
            database.sessions.load(["a"])

    lines = [(record.name, record.levelname) for record in caplog.records]
    assert lines == [("toto.store", "ERROR"), ("toto.store", "WARNING")]


def test_a_lock_that_another_program_keeps(tmp_path: Path) -> None:
    """A write is unavailable after ``store_timeout``, and works once the file is free."""
    path = tmp_path / "toto.db"
    settings = StoreSettings(sqlite_path=path, store_timeout=TIMEOUT_SECONDS)
    with closing(open_database(settings)) as database:
        database.sessions.create(make_record())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            for write in (
                lambda: database.sessions.create(make_record()),
                lambda: database.counters.hit("key", 60),
            ):
                with pytest.raises(StoreUnavailable):
                    write()
            waited_seconds = time.monotonic() - began
            other.execute("ROLLBACK")

        assert 2 * TIMEOUT_SECONDS <= waited_seconds < 2 * LATE_SECONDS
        assert database.counters.hit("key", 60) == 1


def test_many_writers_of_a_file_take_turns(tmp_path: Path) -> None:
    """None waits in vain while the others go on: sqlite itself wakes them in no order."""
    settings = StoreSettings(sqlite_path=tmp_path / "toto.db", store_timeout=TURNS_SECONDS)
    with closing(open_database(settings)) as database, ThreadPoolExecutor(WRITERS) as pool:

        def write(writer: int) -> list[int]:
            return [database.counters.hit(f"{writer}.{n}", 60) for n in range(WRITES)]

        counts = list(pool.map(write, range(WRITERS)))

    assert counts == [[1] * WRITES] * WRITERS


def test_wrong_password_is_an_outage(direct: StoreSettings) -> None:
    """A user whom the server does not know makes the store unavailable."""
    stranger = replace(direct, postgres_database="no_such_database", mysql_user="no_such_user")
    with closing(open_database(stranger)) as database, pytest.raises(StoreUnavailable):
        database.sessions.load(["a"])
