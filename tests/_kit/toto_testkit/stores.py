"""Every database that keeps accounts and sessions: real ones, with names of the test's own."""

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import TypeVar

import pytest

from toto._core.kinds import Secret
from toto._core.stores.record import SessionRecord, generate_session_id
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import Database

T = TypeVar("T")

STORE_NAMES = ("sqlite", "postgres", "mysql", "redis")
SQL_STORE_NAMES = ("sqlite", "postgres", "mysql")

HOST = "127.0.0.1"
POSTGRES_PORT = 5432
MYSQL_PORT = 3306
TABLES = ("sessions", "accounts", "counters", "event_names", "events")
TIMEOUT_SECONDS = 5.0
"""Far over the default: the tests share their processors."""
THREADS = 8

HOSTILE_TEXTS = [
    "",
    " ",
    "x" * 8192,
    "Zo\u00eb \U0001f600",
    "a\0b",
    "\ud800",
    "' OR 1=1 -- ",
    '"; DROP TABLE toto_sessions; --',
    "%",
    "_" * 22,
    "*",
    "[a-z]?\\",
    "%s %(a)s :a {0}",
    "\r\nDEL a\r\n",
    "../../etc/passwd",
]
"""Ids and keys that a careless statement, command or pattern would trip over."""


@dataclass(frozen=True)
class OpenedStore:
    """One store of the suite, and how to open it once more."""

    database: Database
    settings: StoreSettings

    def again(self) -> "closing[Database]":
        return closing(open_database(self.settings))


@contextmanager
def open_store(name: str, tmp_path: Path) -> Iterator[Database]:
    """Open an empty database and remove it at the end.

    Args:
        name: one of STORE_NAMES.
        tmp_path: for what is a file.
    """
    with store_settings(name, tmp_path) as settings, closing(open_database(settings)) as database:
        yield database


def open_database(settings: StoreSettings) -> Database:
    """Open the database that settings name; the caller closes it."""
    if settings.database == "redis":
        from toto._core.stores.redis_database import open_redis_database

        return open_redis_database(settings)
    from toto._core.stores.sql_database import open_sql_database

    return open_sql_database(settings)


def store_settings(name: str, tmp_path: Path) -> AbstractContextManager[StoreSettings]:
    """Give the settings of an empty database, and remove what was put there.

    Without its server the test is skipped; in continuous integration it fails.
    """
    makers: dict[str, Callable[[Path], AbstractContextManager[StoreSettings]]] = {
        "sqlite": _sqlite,
        "postgres": _postgres,
        "mysql": _mysql,
        "redis": _redis,
    }
    return makers[name](tmp_path)


def require_server(name: str, port: int) -> None:
    """Skip the test, or fail it in continuous integration, unless something listens there."""
    try:
        socket.create_connection((HOST, port), timeout=TIMEOUT_SECONDS).close()
    except OSError as error:
        reason = f"no {name} on {HOST}:{port}: {error}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def own_name() -> str:
    """Return a name that no other test run uses."""
    return f"t{secrets.token_hex(5)}_"


@contextmanager
def _sqlite(tmp_path: Path) -> Iterator[StoreSettings]:
    yield StoreSettings(database="sqlite", sqlite_path=tmp_path / f"{own_name()}toto.db")


@contextmanager
def _postgres(tmp_path: Path) -> Iterator[StoreSettings]:
    import psycopg  # here, for the start of test processes that do not need it
    from psycopg import sql

    require_server("PostgreSQL", POSTGRES_PORT)
    schema = sql.Identifier(own_name())
    with psycopg.connect(
        host=HOST, port=POSTGRES_PORT, user="postgres", dbname="test", autocommit=True
    ) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        try:
            yield StoreSettings(
                database="postgres",
                db_host=HOST,
                db_port=POSTGRES_PORT,
                postgres_user="postgres",
                postgres_database="test",
                postgres_schema=schema.as_string(None).strip('"'),
                store_timeout=TIMEOUT_SECONDS,
            )
        finally:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(schema))


@contextmanager
def _mysql(tmp_path: Path) -> Iterator[StoreSettings]:
    import pymysql  # type: ignore[import-untyped]

    require_server("MySQL or MariaDB", MYSQL_PORT)
    prefix = own_name()
    try:
        yield StoreSettings(
            database="mysql",
            db_host=HOST,
            db_port=MYSQL_PORT,
            mysql_database="test",
            table_prefix=prefix,
            store_timeout=TIMEOUT_SECONDS,
        )
    finally:
        with (
            closing(pymysql.connect(host=HOST, port=MYSQL_PORT, user="root", database="test")) as c,
            c.cursor() as cursor,
        ):
            names = ", ".join(prefix + name for name in TABLES)
            cursor.execute(f"DROP TABLE IF EXISTS {names}")


@contextmanager
def _redis(tmp_path: Path) -> Iterator[StoreSettings]:
    from toto_testkit.redis_server import remove_keys, running_redis

    prefix = f"{own_name()}:"
    with running_redis() as url:
        try:
            yield StoreSettings(
                database="redis",
                redis_url=Secret(url),
                redis_prefix=prefix,
                store_timeout=TIMEOUT_SECONDS,
            )
        finally:
            remove_keys(url, prefix)


def make_record(user_id: str | None = None, lasting_seconds: float = 600.0) -> SessionRecord:
    now = time.time()
    return SessionRecord(
        session_id=generate_session_id(),
        user_id=user_id,
        created=now,
        expires=now + lasting_seconds,
        key="k" * 43,
        state=b"\x00state\xff",
        generation=3,
        token_id="a-token",  # noqa: S106  # a name
    )


def load_one(store: Database, session_id: str) -> SessionRecord | None:
    (record,) = store.sessions.load([session_id])
    return record


def at_once(call: Callable[[int], T]) -> list[T]:
    """Call it in eight threads that begin together."""
    barrier = Barrier(THREADS)

    def begin(index: int) -> T:
        barrier.wait(30)
        return call(index)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))
