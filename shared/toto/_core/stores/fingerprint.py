"""Whether a gateway and a worker keep sessions in the same place, without telling the place."""

import hashlib

from toto._core.stores.redis_url import redis_target
from toto._core.stores.settings import StoreSettings

__all__ = ["store_fingerprint"]

_FINGERPRINT_BYTES = 8
_USUAL_PORTS = {"postgres": 5432, "mysql": 3306, "mongodb": 27017}


def store_fingerprint(settings: StoreSettings) -> bytes:
    """Return 8 bytes that differ when two processes do not find each other's sessions.

    They may differ without need, for instance for two names of one host. The bytes stand in a
    message that a wire may carry in the clear: no user and no password goes in, for those could be
    guessed until the bytes are right, but only ``session_keys``, which nobody guesses.

    Args:
        settings: the options of the process.

    Raises:
        SettingsError: ``redis_url`` cannot be used.
    """
    parts = [
        *_place(settings),
        str(settings.hmac_enabled),
        settings.hmac_scheme,
        settings.startup_function,
    ]
    # The lengths keep two parts from passing for two others of the same text.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_FINGERPRINT_BYTES]


def _place(settings: StoreSettings) -> list[str]:
    if settings.session_cache == "redis":
        return _redis_place(settings)
    database = _database_place(settings)
    if settings.session_cache == "client":
        keys = [key.strip() for key in settings.session_keys.reveal().split(",")]
        return ["client", *(key for key in keys if key), *database]
    return database


def _database_place(settings: StoreSettings) -> list[str]:
    if settings.database == "redis":
        return _redis_place(settings)
    if settings.database == "none":
        return ["none"]
    if settings.database == "sqlite":
        return ["sqlite", str(settings.sqlite_path.resolve()), settings.table_prefix]
    names = {
        "postgres": [settings.postgres_database, settings.postgres_schema],
        "mysql": [settings.mysql_database],
        "mongodb": [settings.mongodb_database],
    }[settings.database]
    port = settings.db_port or _USUAL_PORTS[settings.database]
    host = settings.db_host.lower()
    return [settings.database, host, str(port), *names, settings.table_prefix]


def _redis_place(settings: StoreSettings) -> list[str]:
    target = redis_target(settings)
    return ["redis", str(target), str(target.database), settings.redis_prefix]
