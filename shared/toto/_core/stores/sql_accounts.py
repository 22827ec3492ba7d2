"""Accounts in a SQL table."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from toto._core.stores.sql_connector import SqlConnector
from toto._core.stores.sql_properties import (
    check_properties,
    pack_document,
    read_value,
    unpack_document,
    with_columns,
)
from toto._core.stores.sql_tables import is_user_id
from toto._core.stores.store import Credentials

__all__ = ["SqlAccounts"]

T = TypeVar("T")

_log = logging.getLogger("toto.store")

_REFUSED = (
    sa.exc.DataError,
    sa.exc.IntegrityError,
    sa.exc.InterfaceError,
    sa.exc.NotSupportedError,
    sa.exc.ProgrammingError,
)
"""What databases say to a value that does not fit a column."""


class SqlAccounts:
    """An ``AccountStore``. A property with a column of its name is kept there.

    The columns are read once: one that is added later is used from the next start on.

    Args:
        connector: the way to the database.
        table: the table of accounts.
        clock: seconds since the epoch.
    """

    def __init__(
        self, connector: SqlConnector, table: sa.Table, clock: Callable[[], float]
    ) -> None:
        self._connector = connector
        self._table = table
        self._clock = clock
        self._lock = threading.Lock()
        self._full_table: sa.Table | None = None

    def create(self, user_id: str, password_hash: str, properties: Mapping[str, Any]) -> bool:
        """Create an account; False when the id is taken.

        Raises:
            ValueError: a user id or a property that cannot be stored; nothing is changed.
        """
        if not is_user_id(user_id):
            raise ValueError("not a user id")
        check_properties(properties)
        table = self._with_columns()
        document, columns = self._parted(table, properties)
        row = {
            "user_id": user_id,
            "password_hash": password_hash,
            "generation": 0,
            "created": self._clock(),
            "properties": pack_document(document),
            **columns,
        }

        def work(connection: sa.Connection) -> bool:
            _write(connection, table.insert().values(row), columns)
            _check_kept(connection, table, user_id, columns)
            return True

        try:
            return self._connector.transact(work)
        except _Taken as error:
            # Or the rule of a column that the table's owner has added.
            if self.credentials(user_id) is None:
                raise ValueError("the database refuses the properties") from error
            return False

    def credentials(self, user_id: str) -> Credentials | None:
        """Return what a login is checked against, or None for an unknown user."""
        row = self._row(user_id, self._table.c.password_hash, self._table.c.generation)
        return None if row is None else Credentials(row[0], int(row[1]))

    def set_password(self, user_id: str, password_hash: str, *, replaces: str | None) -> bool:
        """Set the password hash; with ``replaces`` only if that is the present one."""
        statement = self._table.update().values(password_hash=password_hash)
        if replaces is not None:
            statement = statement.where(self._table.c.password_hash == replaces)
        return self._change(user_id, statement)

    def end_sessions(self, user_id: str) -> None:
        """Raise the generation by one."""
        generation = self._table.c.generation
        self._change(user_id, self._table.update().values(generation=generation + 1))

    def load(self, user_id: str, names: Sequence[str]) -> dict[str, Any] | None:
        """Return the named properties, those that are missing left out; None without an account."""
        if self._connector.schema.is_absent():
            return None
        table = self._with_columns()
        in_columns = [name for name in dict.fromkeys(names) if _is_column(table, name)]
        columns = [table.c[name] for name in in_columns]
        row = self._row(user_id, table.c.properties, *columns)
        if row is None:
            return None
        document = unpack_document(row[0])
        found = {name: document[name] for name in names if name in document}
        for name, value in zip(in_columns, row[1:], strict=True):
            # What was stored before the column was added is still in the document.
            found[name] = document.get(name) if value is None else read_value(value)
        if "user_id" in names:
            found["user_id"] = user_id
        return found

    def update(self, user_id: str, properties: Mapping[str, Any]) -> bool:
        """Set properties. False for an unknown user.

        Raises:
            ValueError: for a reserved name, or a value that cannot be stored; nothing is changed.
        """
        check_properties(properties)
        if not is_user_id(user_id):
            return False
        table = self._with_columns()
        changes, columns = self._parted(table, properties)

        def work(connection: sa.Connection) -> bool:
            which = table.c.user_id == user_id
            read = sa.select(table.c.properties).where(which).with_for_update()
            row = connection.execute(read).one_or_none()
            if row is None:
                return False
            document = unpack_document(row[0])
            for name in columns:
                document.pop(name, None)
            packed = pack_document(document | changes)
            try:
                values = {"properties": packed, **columns}
                _write(connection, table.update().where(which).values(values), columns)
            except _Taken as error:
                raise ValueError("the database refuses the properties") from error
            _check_kept(connection, table, user_id, columns)
            return True

        return self._connector.transact(work)

    def _row(self, user_id: str, *columns: sa.Column[Any]) -> Any:
        if not is_user_id(user_id) or self._connector.schema.is_absent():
            return None
        statement = sa.select(*columns).where(columns[0].table.c.user_id == user_id)
        return self._connector.execute(
            lambda connection: connection.execute(statement).one_or_none()
        )

    def _change(self, user_id: str, statement: sa.Update) -> bool:
        if not is_user_id(user_id):
            return False
        statement = statement.where(self._table.c.user_id == user_id)
        return self._connector.transact(
            lambda connection: connection.execute(statement).rowcount > 0
        )

    def _with_columns(self) -> sa.Table:
        with self._lock:
            if self._full_table is not None:
                return self._full_table
        found = self._connector.execute(
            lambda connection: sa.inspect(connection).get_columns(self._table.name)
        )
        with self._lock:
            self._full_table = with_columns(self._table, found)
            return self._full_table

    def _parted(
        self, table: sa.Table, properties: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        columns = {name: value for name, value in properties.items() if _is_column(table, name)}
        document = {name: value for name, value in properties.items() if name not in columns}
        return document, columns


class _Taken(ValueError):
    """A row like it exists, or a rule of the table forbids it."""


def _is_column(table: sa.Table, name: str) -> bool:
    own = ("user_id", "password_hash", "generation", "created", "properties")
    return name in table.c and name not in own


def _write(
    connection: sa.Connection, statement: sa.Insert | sa.Update, columns: Mapping[str, Any]
) -> None:
    try:
        connection.execute(statement).close()
    except sa.exc.IntegrityError as error:
        raise _Taken from error
    except _REFUSED as error:
        if error.connection_invalidated:
            raise
        raise _refusal(error.orig, columns) from error
    except (TypeError, OverflowError) as error:
        raise _refusal(error, columns) from error
    except sa.exc.StatementError as error:
        if isinstance(error, sa.exc.DBAPIError):
            raise
        raise _refusal(error.orig, columns) from error


def _refusal(error: BaseException | None, columns: Mapping[str, Any]) -> ValueError:
    """Return what clients are told: names only, for a driver's text tells of tables and types."""
    names = ", ".join(columns) or "none"
    text = " ".join(str(error).split())
    _log.warning("a value cannot be stored (columns: %s): %s", names, text)
    return ValueError(f"cannot be stored: a value does not fit its column ({names})")


def _check_kept(
    connection: sa.Connection, table: sa.Table, user_id: str, columns: Mapping[str, Any]
) -> None:
    """Refuse values that a column cuts or rounds."""
    if not columns:
        return
    statement = sa.select(*(table.c[name] for name in columns)).where(table.c.user_id == user_id)
    row = connection.execute(statement).one()
    for (name, value), kept in zip(columns.items(), row, strict=True):
        if read_value(kept) != value:
            raise ValueError(f"cannot be stored: the column {name} changes the value")
