"""The composition of a process's stores: options in, a ``DBConnection`` out."""

import importlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toto._core.stores.breaker import Breaker
from toto._core.stores.guard import StoreGuard
from toto._core.stores.no_database import open_no_database
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import Database, SessionStore
from toto.clientsessioncache import make_client_cache
from toto.dbconnection import DBConnection

__all__ = ["Stores", "open_stores", "preload"]

_log = logging.getLogger("toto.session")

_SQL = "toto._core.stores.sql_database"
_MODULES = {
    "sqlite": _SQL,
    "postgres": _SQL,
    "mysql": _SQL,
    "redis": "toto._core.stores.redis_database",
    "mongodb": "toto._core.stores.mongo_database",
    "client": "Crypto.Cipher.AES",
}


class StoreCalls:
    """Runs store operations, each store under a time limit and a breaker of its own: one that is
    away must not take another along.

    Args:
        timeout_seconds: longest wait for a remote store.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        # With the store itself: its id must not become that of another object.
        self._guards: dict[int, tuple[object, StoreGuard]] = {}
        self._all: list[StoreGuard] = []
        # For a store that the application brought along.
        self._foreign = self.add((), is_remote=True)

    def add(self, stores: tuple[object, ...], *, is_remote: bool) -> StoreGuard:
        """Let these stores share a guard, since they share a server."""
        guard = StoreGuard(self._timeout_seconds, is_remote=is_remote, breaker=Breaker())
        self._guards.update((id(store), (store, guard)) for store in stores)
        self._all.append(guard)
        return guard

    def call(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Return what a store's method returns, or raise what it raises.

        Raises:
            StoreUnavailable: the store is away.
        """
        _, guard = self._guards.get(id(getattr(fn, "__self__", None)), (None, self._foreign))
        return guard.call(fn, *args, **kwargs)

    def close(self) -> None:
        """End the guards' threads."""
        for guard in self._all:
            guard.close()


@dataclass(frozen=True, slots=True)
class Stores:
    """What a process has of accounts and sessions."""

    connection: DBConnection
    database: Database
    """With the stores that the options name; the connection may have been given others since."""
    redis_sessions: SessionStore | None
    """The session store, if it is one that the event loop can ask itself."""
    close: Callable[[], None]
    """Ends all connections and threads; a second time does nothing."""


def preload(settings: StoreSettings) -> None:
    """Import what the options will need, before the processes are forked: it takes 0.3 s."""
    for name in (settings.database, settings.session_cache):
        if name in _MODULES:
            importlib.import_module(_MODULES[name])


def open_stores(settings: StoreSettings, clock: Callable[[], float] = time.time) -> Stores:
    """Put the stores of a process together; nothing is connected.

    Args:
        settings: the options.
        clock: seconds since the epoch.

    Raises:
        SettingsError: a driver is not installed, or an address cannot be used.
    """
    calls = StoreCalls(settings.store_timeout)
    database = _open_database(settings, clock)
    calls.add(
        (database.accounts, database.sessions, database.counters), is_remote=database.is_remote
    )
    closers = [calls.close, database.close]
    redis_sessions = database.sessions if settings.database == "redis" else None
    if settings.session_cache == "redis":
        from toto._core.stores.redis_database import open_redis_sessions

        apart = open_redis_sessions(settings, clock)
        calls.add((apart.sessions, apart.counters), is_remote=True)
        closers.append(apart.close)
        database = replace(database, sessions=apart.sessions, counters=apart.counters)
        redis_sessions = apart.sessions
    connection = DBConnection(database, settings, clock=clock, call=calls.call)
    if settings.session_cache == "client":
        keys = [key.strip() for key in settings.session_keys.reveal().split(",")]
        connection.set_session_cache(make_client_cache([key for key in keys if key]))

    def close() -> None:
        for each in closers:
            each()

    return Stores(connection, database, redis_sessions, close)


def _warn_of_read_only_file(path: Path) -> None:
    # Not an error: a service whose methods keep no accounts may run from a read-only folder.
    writable = path if path.exists() else path.absolute().parent
    if not os.access(writable, os.W_OK):
        _log.warning("sqlite_path %s cannot be written: accounts and sessions will fail", path)


def _open_database(settings: StoreSettings, clock: Callable[[], float]) -> Database:
    if settings.database == "none":
        return open_no_database()
    if settings.database == "redis":
        from toto._core.stores.redis_database import open_redis_database

        return open_redis_database(settings, clock)
    if settings.database == "mongodb":
        from toto._core.stores.mongo_database import open_mongo_database

        return open_mongo_database(settings, clock)
    if settings.database == "sqlite":
        _warn_of_read_only_file(settings.sqlite_path)
    from toto._core.stores.sql_database import open_sql_database

    return open_sql_database(settings, clock=clock)
