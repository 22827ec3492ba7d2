"""Redis as the database, or for sessions only."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from toto._core.stores.outage import Outage
from toto._core.stores.redis_accounts import RedisAccountStore
from toto._core.stores.redis_client import close_client, make_client
from toto._core.stores.redis_counters import RedisCounterStore
from toto._core.stores.redis_sessions import RedisSessionStore
from toto._core.stores.redis_url import redis_target
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import CounterStore, Database, SessionStore

__all__ = ["RedisSessions", "open_redis_database", "open_redis_sessions"]


@dataclass(frozen=True, slots=True)
class RedisSessions:
    """Sessions and counters in Redis, while accounts are elsewhere."""

    sessions: SessionStore
    counters: CounterStore
    close: Callable[[], None]
    """Ends all connections; a second time does nothing."""


def open_redis_database(
    settings: StoreSettings, clock: Callable[[], float] = time.time
) -> Database:
    """Assemble the stores in Redis on one client. Nothing is connected.

    Methods get a client of their own, which waits for answers without limit: the stores' one
    gives up on a command after ``store_timeout``, and its connections must not run out.

    Args:
        settings: where Redis is.
        clock: returns seconds since the epoch.

    Raises:
        SettingsError: ``redis_url`` cannot be used.
    """
    target, prefix = redis_target(settings), settings.redis_prefix
    client, handle = make_client(target, settings), make_client(target, settings, is_patient=True)
    outage = Outage(str(target))

    def close() -> None:
        close_client(client)
        close_client(handle)

    return Database(
        accounts=RedisAccountStore(client, prefix=prefix, clock=clock, outage=outage),
        sessions=RedisSessionStore(client, prefix=prefix, clock=clock, outage=outage),
        counters=RedisCounterStore(client, prefix=prefix, outage=outage),
        handle=handle,
        is_remote=True,
        close=close,
    )


def open_redis_sessions(
    settings: StoreSettings, clock: Callable[[], float] = time.time
) -> RedisSessions:
    """Assemble what ``session_cache = redis`` needs. Nothing is connected.

    Args:
        settings: where Redis is.
        clock: returns seconds since the epoch.

    Raises:
        SettingsError: ``redis_url`` cannot be used.
    """
    target, prefix = redis_target(settings), settings.redis_prefix
    client = make_client(target, settings)
    outage = Outage(str(target))
    return RedisSessions(
        sessions=RedisSessionStore(client, prefix=prefix, clock=clock, outage=outage),
        counters=RedisCounterStore(client, prefix=prefix, outage=outage),
        close=lambda: close_client(client),
    )
