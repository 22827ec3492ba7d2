"""Makes the tables on the first use that needs them, however many processes begin at once."""

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from toto._core.stores.sql_engine import SqlAddress, make_private_engine

__all__ = ["SqlSchema"]

_LOCK_SECONDS = 10.0
"""Longest wait for another process that makes the tables, and for making them."""
_RETRY_SECONDS = 0.01


class SqlSchema:
    """The tables of one database, as far as this process knows them. Tables that exist stay.

    Args:
        engine: the stores' own engine.
        address: where the database is.
        metadata: the tables.
    """

    def __init__(self, engine: sa.Engine, address: SqlAddress, metadata: sa.MetaData) -> None:
        self._engine = engine
        self._address = address
        self._metadata = metadata
        self._lock = threading.Lock()
        self._is_known = False

    def is_absent(self) -> bool:
        """Whether the database is a sqlite file that nobody has made yet; opens nothing."""
        if self._is_known or self._address.kind != "sqlite":
            return False
        path = self._path
        return not path.exists() and path.parent.is_dir()

    def forget(self) -> None:
        """Look at the tables again before the next use; the server may be back without them."""
        self._is_known = False

    def ensure(self) -> None:
        """Make the tables that are missing.

        Raises:
            OSError: the directory of a sqlite file is missing, or another thread of this process
                has been waiting for the database for too long.
            sqlalchemy.exc.SQLAlchemyError: the database is away or refuses.
        """
        if self._is_known:
            return
        if not self._lock.acquire(timeout=self._address.timeout_seconds):
            raise TimeoutError("another thread is waiting for it")
        try:
            if not self._is_known:
                make = {"sqlite": self._make_sqlite, "postgres": self._make_postgres}
                make.get(self._address.kind, self._make_mysql)()
                self._is_known = True
        finally:
            self._lock.release()

    @property
    def _path(self) -> Path:
        return Path(self._address.url.database or "")

    def _is_complete(self, connection: sa.Connection) -> bool:
        inspector = sa.inspect(connection)
        return all(inspector.has_table(table.name) for table in self._metadata.sorted_tables)

    def _make_sqlite(self) -> None:
        # Made here and not by sqlite: others must not read the keys and hashes in it. sqlite gives
        # its other files the same mode.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        with self._engine.connect() as connection:
            if _has_wal(connection) and self._is_complete(connection):
                return
        patient = make_private_engine(self._address, _LOCK_SECONDS)
        try:
            with patient.connect() as connection:
                _until_unlocked(lambda: _set_wal(connection))
                if not self._is_complete(connection):
                    self._create(connection, "BEGIN IMMEDIATE")
        finally:
            patient.dispose()

    def _make_postgres(self) -> None:
        with self._engine.connect() as connection:
            if self._is_complete(connection):
                return
        patient = make_private_engine(self._address, _LOCK_SECONDS)
        try:
            with patient.connect() as connection:
                key = int.from_bytes(self._lock_digest()[:8], signed=True)
                self._create(connection, "BEGIN", f"SELECT pg_advisory_xact_lock({key})")
        finally:
            patient.dispose()

    def _make_mysql(self) -> None:
        with self._engine.connect() as connection:
            if self._is_complete(connection):
                return
        patient = make_private_engine(self._address, _LOCK_SECONDS + self._address.timeout_seconds)
        name = f"toto-{self._lock_digest().hex()[:32]}"
        try:
            with patient.connect() as connection:
                connection.exec_driver_sql("SELECT GET_LOCK(%s, %s)", (name, _LOCK_SECONDS)).close()
                # MySQL commits every table by itself, and frees the lock when the connection ends.
                self._metadata.create_all(connection)
        finally:
            patient.dispose()

    def _lock_digest(self) -> bytes:
        names = (self._address.url.database or "", *sorted(self._metadata.tables))
        return hashlib.sha256("\0".join(names).encode()).digest()

    def _create(self, connection: sa.Connection, *statements: str) -> None:
        for statement in statements:
            connection.exec_driver_sql(statement).close()
        try:
            self._metadata.create_all(connection)
        except sa.exc.SQLAlchemyError:
            if not connection.invalidated:
                connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def _has_wal(connection: sa.Connection) -> bool:
    return connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def _set_wal(connection: sa.Connection) -> None:
    connection.exec_driver_sql("PRAGMA journal_mode=WAL").close()


def _until_unlocked(change: Callable[[], None]) -> None:
    """Repeat the change to WAL: sqlite itself does not wait for a writer there."""
    give_up_at = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return change()
        except sa.exc.OperationalError as error:
            code = getattr(error.orig, "sqlite_errorcode", None)
            if code != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(_RETRY_SECONDS)
