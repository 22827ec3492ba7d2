"""The options about accounts and sessions, which both commands have."""

import importlib
import re
from dataclasses import dataclass
from pathlib import Path

from toto._core import kinds
from toto._core.log_settings import LogSettings
from toto._core.settings import Secret, SettingsError, option

__all__ = ["SESSION_KEY_BYTES_MIN", "StoreSettings", "check_store_settings"]

_DAY_SECONDS = 24 * 3600.0
SESSION_KEY_BYTES_MIN = 32
"""Shorter keys are refused: they would be the weakest part of a client token."""
_TABLE_PREFIX_BYTES_MAX = 32
"""PostgreSQL cuts names after 63 bytes, and the longest of ours adds 20 to the prefix."""
_DRIVERS = {"postgres": "psycopg", "mysql": "pymysql", "mongodb": "pymongo"}
_WITH_SOCKETS = ("postgres", "mysql")
_NO_HOST = re.compile(r"[\s/@\\\x00-\x1f\x7f]")
_NO_SOCKET = re.compile(r"//|[\s@\x00-\x1f\x7f]")
_MONGODB_NAME = re.compile(r"[^/\\. \"$\x00]{1,63}")
_NO_MONGODB_PREFIX = re.compile(r"[$\x00]|\.\.|^\.|^system\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings(LogSettings):
    """Where accounts and sessions are kept, and how long sessions last."""

    database: str = option(
        "sqlite",
        kind=kinds.choice("sqlite", "redis", "postgres", "mysql", "mongodb", "none"),
        help="Where accounts and sessions are kept.",
    )
    db_host: str = option(
        "localhost",
        kind=kinds.text(),
        help="Host of the database server.",
    )
    db_port: int = option(
        0,
        kind=kinds.integer(0, 65535),
        help="Port of the database server; 0 is the usual one of the database.",
    )
    sqlite_path: Path = option(
        Path("toto.db"),
        kind=kinds.path(),
        help="File of the sqlite database; made on first use.",
    )
    redis_url: Secret = option(
        Secret(""),
        kind=kinds.secret(),
        help="Redis server: `redis://`, `rediss://` (TLS) or `unix://` as redis-py reads them, "
        "`redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB` or `redis+cluster://HOST:PORT`.",
        default_help="db_host, db_port and redis_database",
    )
    redis_database: int = option(
        0,
        kind=kinds.integer(0, 1_000_000),
        help="Number of the Redis database.",
    )
    redis_prefix: str = option(
        "toto:",
        kind=kinds.text(),
        help="What every key in Redis begins with.",
    )
    postgres_database: str = option(
        "toto",
        kind=kinds.text(),
        help="Name of the PostgreSQL database; needs `pip install toto-gateway[postgres]`.",
    )
    postgres_user: str = option(
        "",
        kind=kinds.text(),
        help="PostgreSQL user.",
        default_help="the user the process runs as",
    )
    postgres_password: Secret = option(
        Secret(""),
        kind=kinds.secret(),
        help="PostgreSQL password.",
        default_help="none",
    )
    postgres_schema: str = option(
        "",
        kind=kinds.text(),
        help="PostgreSQL schema of the tables; it must exist.",
        default_help="the first of the search path",
    )
    mysql_database: str = option(
        "toto",
        kind=kinds.text(),
        help="Name of the MySQL or MariaDB database; needs `pip install toto-gateway[mysql]`.",
    )
    mysql_user: str = option(
        "root",
        kind=kinds.text(),
        help="MySQL user.",
    )
    mysql_password: Secret = option(
        Secret(""),
        kind=kinds.secret(),
        help="MySQL password.",
        default_help="none",
    )
    table_prefix: str = option(
        "toto_",
        kind=kinds.text(),
        help="What the names of SQL tables and MongoDB collections begin with.",
    )
    mongodb_database: str = option(
        "toto_server",
        kind=kinds.text(),
        help="Name of the MongoDB database; needs `pip install toto-gateway[mongodb]`.",
    )
    mongodb_user: str = option(
        "",
        kind=kinds.text(),
        help="MongoDB user.",
        default_help="none",
    )
    mongodb_password: Secret = option(
        Secret(""),
        kind=kinds.secret(),
        help="MongoDB password.",
        default_help="none",
    )
    store_timeout: float = option(
        0.4,
        kind=kinds.duration(minimum_seconds=0.01),
        help="Longest wait for a database server; a call that needs it then fails with 1107.",
    )
    session_cache: str = option(
        "none",
        kind=kinds.choice("none", "redis", "client"),
        help="Keep sessions apart from accounts: in Redis, or in the session id itself, "
        "encrypted with `session_keys`.",
    )
    session_keys: Secret = option(
        Secret(""),
        kind=kinds.secret(),
        help="Keys of client sessions, separated by commas: the first makes tokens, all read them. "
        "`toto-gateway --generate-keys` makes one.",
        default_help="none",
    )
    session_ttl: float = option(
        365 * _DAY_SECONDS,
        kind=kinds.duration(minimum_seconds=1),
        help="Time after which a user's session expires.",
    )
    anon_session_ttl: float = option(
        _DAY_SECONDS,
        kind=kinds.duration(minimum_seconds=1),
        help="Time after which an anonymous session expires.",
    )
    session_renew: float = option(
        0.0,
        kind=kinds.duration(),
        help="Renew a user's session when less than this is left of it; 0 renews with every use, "
        "at most once in a hundredth of `session_ttl`.",
    )
    anon_session_renew: float = option(
        0.0,
        kind=kinds.duration(),
        help="The same for anonymous sessions.",
    )
    session_max_lifetime: float = option(
        365 * _DAY_SECONDS,
        kind=kinds.duration(minimum_seconds=1),
        help="Time after which a session ends however often it was renewed.",
    )
    login_attempts: int = option(
        10,
        kind=kinds.integer(0, 1_000_000),
        unit="attempts",
        help="Wrong passwords for one account from one address before further ones are refused "
        "for `login_window`; 0 is no limit.",
    )
    login_attempts_per_address: int = option(
        100,
        kind=kinds.integer(0, 1_000_000),
        unit="attempts",
        help="The same for one address and any account. Behind a proxy all clients share an "
        "address, unless the gateway's `trusted_proxies` names it.",
    )
    login_window: float = option(
        900.0,
        kind=kinds.duration(minimum_seconds=1),
        help="How long wrong passwords are remembered.",
    )
    account_fields: tuple[str, ...] = option(
        (),
        kind=kinds.names(),
        help="Properties that clients may set by account.create and account.update.",
        default_help="none",
    )
    hmac_enabled: bool = option(
        False,
        kind=kinds.flag(),
        help="Require requests of users' sessions to be signed (header x-toto-hmac), "
        "and sign the answers.",
    )
    hmac_scheme: str = option(
        "v1",
        kind=kinds.choice("v1", "v2"),
        help="How they are signed: v1 as in Toto, or v2, which cannot be replayed.",
    )
    startup_function: str = option(
        "",
        kind=kinds.text(),
        help="Function to call in every gateway and worker process before it serves, "
        "such as `myapp.startup.on_start`.",
        default_help="none",
    )


def check_store_settings(settings: StoreSettings) -> None:
    """Refuse settings that cannot work; both commands call it. Nothing is connected.

    Raises:
        SettingsError: the first problem found.
    """
    _check_driver(settings.database)
    _check_host(settings)
    _check_names(settings)
    _check_redis(settings)
    if settings.session_cache == "client":
        _check_session_keys(settings.session_keys)
    if settings.startup_function:
        parts = settings.startup_function.split(".")
        if len(parts) < 2 or not all(part.isidentifier() for part in parts):
            raise SettingsError(
                "startup_function must name a function such as myapp.startup.on_start, "
                f"not {settings.startup_function!r}"
            )


def _check_host(settings: StoreSettings) -> None:
    # The value is never repeated: it may be a URL, with a password.
    host = settings.db_host
    if host.startswith("/") and settings.database in _WITH_SOCKETS:
        if _NO_SOCKET.search(host):
            raise SettingsError("db_host begins with / but is no path of a unix socket")
    elif _NO_HOST.search(host):
        raise SettingsError(
            "db_host must be the name or address of a host: no URL, user, password or path "
            "(a unix socket of postgres or mysql excepted)"
        )
    elif settings.database == "mongodb":
        _check_mongodb_host(host)


def _check_mongodb_host(host: str) -> None:
    from pymongo.errors import PyMongoError  # an extra
    from pymongo.uri_parser import split_hosts

    try:
        split_hosts(host)
    except (PyMongoError, ValueError):
        raise SettingsError(
            "db_host must be a host, or several separated by commas, each with :PORT or without"
        ) from None


def _check_driver(database: str) -> None:
    if database not in _DRIVERS:
        return
    try:
        importlib.import_module(_DRIVERS[database])
    except ImportError as error:
        raise SettingsError(
            f"database = {database} needs a driver: pip install toto-gateway[{database}]"
        ) from error


def _check_names(settings: StoreSettings) -> None:
    prefix = settings.table_prefix
    if settings.database in ("sqlite", "postgres", "mysql"):
        if len(prefix.encode()) > _TABLE_PREFIX_BYTES_MAX:
            raise SettingsError(f"table_prefix must have {_TABLE_PREFIX_BYTES_MAX} bytes at most")
    elif settings.database == "mongodb":
        if not _MONGODB_NAME.fullmatch(settings.mongodb_database):
            raise SettingsError(
                "mongodb_database must be a name that MongoDB takes, "
                f"not {settings.mongodb_database!r}"
            )
        if _NO_MONGODB_PREFIX.search(prefix):
            raise SettingsError(f"table_prefix must be a prefix that MongoDB takes, not {prefix!r}")


def _check_redis(settings: StoreSettings) -> None:
    if "redis" not in (settings.database, settings.session_cache):
        return
    if not settings.redis_url and settings.database in _DRIVERS:
        raise SettingsError(
            "session_cache = redis needs redis_url: db_host and db_port are those of "
            f"database = {settings.database}"
        )
    from toto._core.stores.redis_url import redis_target  # it needs this module

    redis_target(settings)


def _check_session_keys(session_keys: Secret) -> None:
    keys = [key.strip() for key in session_keys.reveal().split(",") if key.strip()]
    if not keys:
        raise SettingsError(
            "session_cache = client needs session_keys; toto-gateway --generate-keys makes one"
        )
    if any(len(key.encode()) < SESSION_KEY_BYTES_MIN for key in keys):
        raise SettingsError(
            f"session_keys must have {SESSION_KEY_BYTES_MIN} bytes or more each; "
            "commas separate keys"
        )
