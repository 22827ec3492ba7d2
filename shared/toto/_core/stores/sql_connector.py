"""Runs statements: mends what a second attempt mends, and tells an outage once."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa

from toto._core.stores.outage import Outage
from toto._core.stores.sql_engine import SqlAddress
from toto._core.stores.sql_schema import SqlSchema
from toto._core.stores.store import StoreUnavailable

__all__ = ["SqlConnector"]

T = TypeVar("T")

_ATTEMPTS = 8
"""More than the pool keeps: after a restart of the server all of those may be dead."""
_POSTGRES_ROLLED_BACK = ("40001", "40P01")
_MYSQL_ROLLED_BACK = 1213


class SqlConnector:
    """The way of the stores to their database. May be used by any thread.

    A statement is repeated when its connection turns out to be dead, as after a restart of the
    server, and when the database took it back because of a deadlock; but never when it may have
    been done already and doing it twice would differ, and not once the time limit has passed.

    Args:
        engine: the stores' own engine.
        address: where the database is.
        schema: its tables.
    """

    def __init__(self, engine: sa.Engine, address: SqlAddress, schema: SqlSchema) -> None:
        self.schema = schema
        self._engine = engine
        self._address = address
        self._begin = "BEGIN IMMEDIATE" if address.kind == "sqlite" else "BEGIN"
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._failures = (sa.exc.SQLAlchemyError, self._driver_error, OSError, _Failed)
        self._outage = Outage(f"The database ({address.name})")
        # One writer at a time has the file, and sqlite wakes those that wait for it in no order: of
        # 20 threads that write, one call in ten waited 0.1 s in vain. A lock serves them in turn.
        self._turn = threading.Lock() if address.kind == "sqlite" else None

    @property
    def dialect(self) -> sa.Dialect:
        """For which statements have to be written."""
        return self._engine.dialect

    def fetch(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        """Return the rows of one SELECT in the driver's own words.

        A session is looked up with each request. A SELECT of one row from sqlite takes 19 us this
        way, and 130 us as a statement of SQLAlchemy's [measured, virtual machine with 2 cores].

        Raises:
            StoreUnavailable: the database is away.
        """
        return self._attempt(lambda: self._fetch(statement, parameters))

    def execute(self, work: Callable[[sa.Connection], T]) -> T:
        """Run statements that commit one by one, and may be repeated without harm.

        Raises:
            StoreUnavailable: the database is away.
        """

        def run() -> T:
            with self._engine.connect() as connection, _clean(connection):
                return work(connection)

        return self._attempt(run)

    def transact(self, work: Callable[[sa.Connection], T]) -> T:
        """Run statements in one transaction; an exception of ``work`` undoes them.

        Raises:
            StoreUnavailable: the database is away. If it was lost at the very end, the statements
                may have been done.
        """
        turn = self._turn
        if turn is None:
            return self._attempt(lambda: self._transact(work))
        return self._attempt(lambda: self._transact_in_turn(work, turn))

    def _attempt(self, call: Callable[[], T]) -> T:
        give_up_at = time.monotonic() + self._address.timeout_seconds
        attempts_left = _ATTEMPTS
        while True:
            attempts_left -= 1
            try:
                self.schema.ensure()
                answer = call()
            except self._failures as error:
                in_time = attempts_left > 0 and time.monotonic() < give_up_at
                if not (in_time and _may_be_repeated(error)):
                    self.schema.forget()
                    self._outage.began(_reason(error))
                    raise StoreUnavailable() from error
            else:
                self._outage.ended()
                return answer

    def _fetch(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(statement, parameters)
            rows = list(cursor.fetchall())
            cursor.close()
            return rows
        except self._driver_error as error:
            driver: Any = connection.driver_connection
            is_lost = self.dialect.is_disconnect(error, driver, None)  # type: ignore[arg-type]
            connection.invalidate()
            raise _Failed(error, is_lost=is_lost) from error
        except BaseException:
            connection.invalidate()  # its answer may still come, and is not the next one's
            raise
        finally:
            connection.close()

    def _transact_in_turn(self, work: Callable[[sa.Connection], T], turn: threading.Lock) -> T:
        if not turn.acquire(timeout=self._address.timeout_seconds):
            raise TimeoutError("other threads of this process keep the file")
        try:
            return self._transact(work)
        finally:
            turn.release()

    def _transact(self, work: Callable[[sa.Connection], T]) -> T:
        with self._engine.connect() as connection, _clean(connection):
            connection.exec_driver_sql(self._begin)
            try:
                answer = work(connection)
            except (sa.exc.SQLAlchemyError, ValueError):
                _roll_back(connection)
                raise
            try:
                connection.exec_driver_sql("COMMIT")
            except sa.exc.SQLAlchemyError as error:
                connection.invalidate()
                raise _Failed(error, is_lost=False) from error
            return answer


class _Failed(Exception):
    """A driver's error, with what is known about its connection."""

    def __init__(self, orig: Exception, *, is_lost: bool) -> None:
        super().__init__(str(orig))
        self.orig = orig
        self.is_lost = is_lost


@contextmanager
def _clean(connection: sa.Connection) -> Iterator[None]:
    """Drop the connection after what may have interrupted it in the middle of an answer."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, ValueError, _Failed):
        raise
    except BaseException:
        if not connection.invalidated:
            connection.invalidate()
        raise


def _roll_back(connection: sa.Connection) -> None:
    try:
        if not connection.invalidated:
            connection.exec_driver_sql("ROLLBACK")
    except sa.exc.SQLAlchemyError:
        connection.invalidate()


def _reason(error: Exception) -> str:
    # Not the text of SQLAlchemy's own error, which is long and quotes the statement.
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _may_be_repeated(error: Exception) -> bool:
    """Whether nothing has been done, and another attempt may do it."""
    if isinstance(error, _Failed):
        is_lost = error.is_lost
    else:
        is_lost = isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
    return is_lost or _was_rolled_back(getattr(error, "orig", None))


def _was_rolled_back(error: Any) -> bool:
    """Whether the database chose this transaction to end a deadlock."""
    if getattr(error, "sqlstate", None) in _POSTGRES_ROLLED_BACK:
        return True
    return getattr(error, "args", ())[:1] == (_MYSQL_ROLLED_BACK,)
