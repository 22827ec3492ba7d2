"""Accounts, sessions and counters in sqlite, PostgreSQL, MySQL or MariaDB."""

import time
from collections.abc import Callable

from toto._core.kinds import SettingsError
from toto._core.stores.settings import StoreSettings
from toto._core.stores.sql_accounts import SqlAccounts
from toto._core.stores.sql_connector import SqlConnector
from toto._core.stores.sql_counters import SqlCounters
from toto._core.stores.sql_engine import make_handle, make_private_engine, sql_address
from toto._core.stores.sql_schema import SqlSchema
from toto._core.stores.sql_sessions import SqlSessions
from toto._core.stores.sql_tables import define_tables
from toto._core.stores.store import Database

__all__ = ["open_sql_database"]

_PREFIX_BYTES_MAX = 32
"""PostgreSQL cuts names after 63 bytes, and the longest of ours adds 20 to the prefix."""


def open_sql_database(
    settings: StoreSettings, *, clock: Callable[[], float] = time.time
) -> Database:
    """Return the database that settings name; the first use connects and makes the tables.

    Its handle is a SQLAlchemy Engine with a pool of its own, which connects when it is used.

    Args:
        settings: with ``database`` one of sqlite, postgres and mysql.
        clock: seconds since the epoch.

    Raises:
        SettingsError: the driver is not installed, or ``table_prefix`` is too long.
    """
    if len(settings.table_prefix.encode()) > _PREFIX_BYTES_MAX:
        raise SettingsError(f"table_prefix must have {_PREFIX_BYTES_MAX} bytes at most")
    address = sql_address(settings)
    tables = define_tables(settings.table_prefix)
    engine = make_private_engine(address, address.timeout_seconds)
    handle = make_handle(address)
    connector = SqlConnector(engine, address, SqlSchema(engine, address, tables.metadata))

    def close() -> None:
        engine.dispose()
        handle.dispose()

    return Database(
        accounts=SqlAccounts(connector, tables.accounts, clock),
        sessions=SqlSessions(connector, tables.sessions, clock),
        counters=SqlCounters(connector, tables.counters, clock),
        handle=handle,
        is_remote=address.kind != "sqlite",
        close=close,
    )
