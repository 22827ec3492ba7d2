"""Opens what is kept of the events: in Redis or in the SQL database, as the options say."""

import time
from collections.abc import Callable

from toto._core.event_history import EventHistory
from toto._core.kinds import SettingsError
from toto._core.stores.settings import StoreSettings

__all__ = ["check_event_history", "open_event_history"]

KEEP_SECONDS = 86_400.0
"""After its last event a name is kept for a day."""
_SQL = ("sqlite", "postgres", "mysql")


def check_event_history(settings: StoreSettings) -> None:
    """Refuse settings that leave no place for a history; connects to nothing.

    Raises:
        SettingsError: there is none.
    """
    if not (settings.redis_url or settings.database == "redis" or settings.database in _SQL):
        raise SettingsError(
            "event_history needs redis_url, or a database of sqlite, redis, postgres or mysql"
        )


def open_event_history(
    settings: StoreSettings, *, length: int, clock: Callable[[], float] = time.time
) -> EventHistory:
    """Open the history. The first use connects.

    Args:
        settings: where it is.
        length: events kept of each name; 0 for those who read only.
        clock: seconds since the epoch; Redis has its own.

    Raises:
        SettingsError: there is no place for it, or an address cannot be used.
    """
    check_event_history(settings)
    if settings.redis_url or settings.database == "redis":
        return _open_redis(settings, length)
    return _open_sql(settings, length, clock)


def _open_redis(settings: StoreSettings, length: int) -> EventHistory:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    from toto._core.stores.event_history_redis import RedisEventHistory
    from toto._core.stores.outage import Outage
    from toto._core.stores.redis_client import close_client, make_client
    from toto._core.stores.redis_link import RedisLink
    from toto._core.stores.redis_url import redis_target

    target = redis_target(settings)
    client = make_client(target, settings)
    if length and isinstance(client, redis.Redis):
        # A second attempt would record events twice when only the answer was lost.
        client.get_connection_kwargs()["retry"] = Retry(NoBackoff(), 0)

    def renew() -> None:
        if isinstance(client, redis.Redis):
            client.connection_pool.disconnect(inuse_connections=False)

    return RedisEventHistory(
        RedisLink(client, settings.redis_prefix, Outage(f"The history of events ({target})")),
        length=length,
        keep_seconds=KEEP_SECONDS,
        renew=renew,
        close=lambda: close_client(client),
    )


def _open_sql(settings: StoreSettings, length: int, clock: Callable[[], float]) -> EventHistory:
    from toto._core.stores.event_history_sql import SqlEventHistory
    from toto._core.stores.event_history_tables import define_event_tables
    from toto._core.stores.sql_connector import SqlConnector
    from toto._core.stores.sql_engine import make_private_engine, sql_address
    from toto._core.stores.sql_schema import SqlSchema

    address = sql_address(settings)
    tables = define_event_tables(settings.table_prefix)
    engine = make_private_engine(address, address.timeout_seconds)
    connector = SqlConnector(engine, address, SqlSchema(engine, address, tables.metadata))
    return SqlEventHistory(
        connector,
        tables,
        length=length,
        keep_seconds=KEEP_SECONDS,
        close=engine.dispose,
        clock=clock,
    )
