"""MongoDB as the database."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from toto._core.kinds import SettingsError
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import Database

if TYPE_CHECKING:
    from pymongo import MongoClient

__all__ = ["open_mongo_database"]

_MONGO_PORT = 27017
_CONNECTIONS_MAX = 128


def open_mongo_database(
    settings: StoreSettings, clock: Callable[[], float] = time.time
) -> Database:
    """Assemble the stores in MongoDB on one client. Nothing is connected.

    Users are looked for in MongoDB's database ``admin``. Methods get a client of their own, whose
    operations may take as long as they like.

    Args:
        settings: where MongoDB is.
        clock: returns seconds since the epoch.

    Raises:
        SettingsError: the driver is not installed, or refuses the settings.
    """
    try:
        # They import an extra.
        from toto._core.stores.mongo_accounts import MongoAccountStore
        from toto._core.stores.mongo_counters import MongoCounterStore
        from toto._core.stores.mongo_link import MongoLink
        from toto._core.stores.mongo_sessions import MongoSessionStore
    except ImportError as error:
        raise SettingsError(
            "database = mongodb needs a driver: pip install toto-gateway[mongodb]"
        ) from error
    client = _make_client(settings, timeoutMS=_milliseconds(settings.store_timeout))
    users_client = _make_client(settings)
    link = MongoLink(client[settings.mongodb_database], settings.table_prefix, _where(settings))

    def close() -> None:
        client.close()
        users_client.close()

    return Database(
        accounts=MongoAccountStore(link, clock),
        sessions=MongoSessionStore(link, clock),
        counters=MongoCounterStore(link, clock),
        handle=users_client[settings.mongodb_database],
        is_remote=True,
        close=close,
    )


def _make_client(settings: StoreSettings, **options: Any) -> "MongoClient[dict[str, Any]]":
    from pymongo import MongoClient  # an extra
    from pymongo.errors import PyMongoError

    milliseconds = _milliseconds(settings.store_timeout)
    if settings.mongodb_user:
        options["username"] = settings.mongodb_user
        options["password"] = settings.mongodb_password.reveal()
    try:
        return MongoClient(
            settings.db_host,
            settings.db_port or _MONGO_PORT,
            connect=False,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            waitQueueTimeoutMS=milliseconds,
            maxPoolSize=_CONNECTIONS_MAX,
            **options,
        )
    except (PyMongoError, ValueError):
        # Not `from error`: pymongo quotes what it refuses, and db_host may be a URI.
        raise SettingsError("db_host, db_port or the user cannot be used for MongoDB") from None


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _where(settings: StoreSettings) -> str:
    if "/" in settings.db_host or "@" in settings.db_host:  # a URI, which may hold a password
        return f"MongoDB, database {settings.mongodb_database}"
    port = settings.db_port or _MONGO_PORT
    return f"MongoDB at {settings.db_host}:{port}, database {settings.mongodb_database}"
