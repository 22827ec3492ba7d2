"""Which store keeps the sessions: that of the database, or the one that a cache stands for."""

from collections.abc import Callable
from typing import Any

from toto._core.stores.cache_sessions import CacheSessionStore
from toto._core.stores.client_sessions import ClientSessionStore
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import AccountStore, CounterStore, Database, SessionStore
from toto.clientsessioncache import ClientCache
from toto.session import TotoSessionCache

__all__ = ["session_store_of"]


def session_store_of(
    database: Database,
    accounts: AccountStore,
    counters: CounterStore,
    cache: TotoSessionCache | None,
    settings: StoreSettings,
    *,
    clock: Callable[[], float],
    call: Callable[..., Any],
) -> SessionStore:
    """Return the store of sessions.

    Args:
        database: where everything is kept that has no place of its own.
        accounts: perhaps another store than the database's.
        counters: keep the deny list of client tokens.
        cache: the one that was set, if any.
        settings: lifetimes, and whether there is a database.
        clock: gives the seconds since the epoch.
        call: runs a store operation under a time limit.
    """
    if cache is None:
        return database.sessions
    if not isinstance(cache, ClientCache):
        return CacheSessionStore(cache, clock)
    # Without a database nobody knows of ended tokens, except an account store set in code.
    has_database = settings.database != "none"
    has_accounts = has_database or accounts is not database.accounts
    return ClientSessionStore(
        cache,
        accounts if has_accounts else None,
        counters if has_database else None,
        settings,
        clock,
        call=call,
    )
