"""How each SQL database is reached: its address, its driver's options, its time limits."""

import importlib
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from toto._core.kinds import SettingsError
from toto._core.stores.settings import StoreSettings

__all__ = ["SqlAddress", "make_handle", "make_private_engine", "sql_address"]

_HANDLE_BUSY_SECONDS = 5.0
"""Longest wait of a method's own statement for another writer of a sqlite file; sqlite's usual."""

_POOL_KEPT = 5
_POOL_EXTRA = 11
_POSTGRES_CONNECT_SECONDS_MIN = 2
"""libpq and psycopg wait no less than this for each address of the host."""
_DRIVERS = {"postgres": "psycopg", "mysql": "pymysql"}


@dataclass(frozen=True, slots=True)
class SqlAddress:
    """Where a database is, and how to speak to it.

    Args:
        kind: ``sqlite``, ``postgres`` or ``mysql``.
        url: SQLAlchemy's address; it hides the password.
        name: the database in a log line.
        timeout_seconds: longest wait for one answer, and of sqlite for another writer of the file:
            a write holds it for well under a millisecond.
        schema: PostgreSQL schema, or empty.
    """

    kind: str
    url: sa.URL
    name: str
    timeout_seconds: float
    schema: str = ""


def sql_address(settings: StoreSettings) -> SqlAddress:
    """Return the address that settings name.

    Raises:
        SettingsError: the driver is not installed.
    """
    if settings.database == "sqlite":
        path = str(settings.sqlite_path.absolute())
        url = sa.URL.create("sqlite+pysqlite", database=path)
        return SqlAddress("sqlite", url, f"sqlite file {path}", settings.store_timeout)
    _require_driver(settings.database)
    is_socket = settings.db_host.startswith("/")
    place = settings.db_host if is_socket else f"{settings.db_host}:{settings.db_port or 'default'}"
    if settings.database == "postgres":
        url = sa.URL.create(
            "postgresql+psycopg",
            username=settings.postgres_user or None,
            password=settings.postgres_password.reveal() or None,
            host=settings.db_host,
            port=settings.db_port or None,
            database=settings.postgres_database,
        )
    else:
        url = sa.URL.create(
            "mysql+pymysql",
            username=settings.mysql_user,
            password=settings.mysql_password.reveal() or None,
            host=None if is_socket else settings.db_host,
            port=settings.db_port or None,
            database=settings.mysql_database,
            query={"unix_socket": settings.db_host} if is_socket else {},
        )
    return SqlAddress(
        settings.database,
        url,
        f"{settings.database} at {place}, {url.database}",
        settings.store_timeout,
        settings.postgres_schema if settings.database == "postgres" else "",
    )


def make_private_engine(address: SqlAddress, timeout_seconds: float) -> sa.Engine:
    """Make the engine of the stores: every statement by itself, unless they say ``BEGIN``.

    So a lookup is one round trip, where the usual engine needs a ``BEGIN`` and a ``ROLLBACK`` more.

    Args:
        address: where the database is.
        timeout_seconds: longest wait for one statement.
    """
    options: dict[str, Any] = {
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        "hide_parameters": True,
        "connect_args": _connect_arguments(address, timeout_seconds),
        **_pool_options(address),
    }
    if address.kind != "sqlite":
        options["paramstyle"] = "format"  # a list, as with sqlite, and no dictionary
    engine = sa.create_engine(address.url, **options)
    if address.kind == "postgres":
        from toto._core.stores.sql_postgres import connect_with_limit  # imports an extra

        event.listen(engine, "do_connect", connect_with_limit(timeout_seconds))
    _listen(engine, address)
    return engine


def make_handle(address: SqlAddress) -> sa.Engine:
    """Make the engine that methods see: transactions as SQLAlchemy's users know them.

    Its statements may take as long as they like.
    """
    engine = sa.create_engine(
        address.url,
        hide_parameters=True,
        pool_pre_ping=address.kind != "sqlite",
        connect_args=_connect_arguments(address, None),
        **_pool_options(address),
    )
    _listen(engine, address)
    return engine


def _require_driver(database: str) -> None:
    try:
        importlib.import_module(_DRIVERS[database])
    except ImportError as error:
        raise SettingsError(
            f"database = {database} needs a driver: pip install toto-gateway[{database}]"
        ) from error


def _pool_options(address: SqlAddress) -> dict[str, Any]:
    return {
        "poolclass": sa.QueuePool,
        "pool_size": _POOL_KEPT,
        "max_overflow": _POOL_EXTRA,
        "pool_timeout": address.timeout_seconds,
        "pool_use_lifo": True,
    }


def _connect_arguments(address: SqlAddress, timeout_seconds: float | None) -> dict[str, Any]:
    if address.kind == "sqlite":
        return {"timeout": timeout_seconds or _HANDLE_BUSY_SECONDS}
    if address.kind == "postgres":
        return _postgres_arguments(address, timeout_seconds)
    arguments: dict[str, Any] = {
        "charset": "utf8mb4",
        "binary_prefix": True,
        "connect_timeout": address.timeout_seconds,
    }
    if timeout_seconds is not None:
        arguments["read_timeout"] = arguments["write_timeout"] = timeout_seconds
        # Without the locks on gaps between rows, which make unrelated writers deadlock.
        arguments["init_command"] = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
    return arguments


def _postgres_arguments(address: SqlAddress, timeout_seconds: float | None) -> dict[str, Any]:
    options = []
    arguments: dict[str, Any] = {
        "connect_timeout": max(_POSTGRES_CONNECT_SECONDS_MIN, round(address.timeout_seconds)),
    }
    if address.schema:
        quoted = '"' + address.schema.replace('"', '""') + '"'
        escaped = quoted.replace("\\", "\\\\").replace(" ", "\\ ")
        options.append(f"-c search_path={escaped}")
    if timeout_seconds is not None:
        milliseconds = max(1, round(timeout_seconds * 1000))
        options.append(f"-c statement_timeout={milliseconds}")
        arguments["tcp_user_timeout"] = milliseconds
    if options:
        arguments["options"] = " ".join(options)
    return arguments


def _listen(engine: sa.Engine, address: SqlAddress) -> None:
    if address.kind == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite_connection)


def _set_up_sqlite_connection(connection: Any, record: Any) -> None:
    # In WAL mode a crash of the machine may lose the last commits, but never the file.
    connection.execute("PRAGMA synchronous=NORMAL").close()
