"""The sessions of a gateway process: how they are loaded, and how the loop asks the stores."""

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toto._core.stores.breaker import Breaker
from toto._core.stores.cache_sessions import CacheSessionStore
from toto._core.stores.client_sessions import ClientSessionStore
from toto._core.stores.open import Stores
from toto._core.stores.record import SessionRecord
from toto._core.stores.revocations import TOUCH_SECONDS
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import SessionStore, StoreUnavailable
from toto_gateway.sessions.loader import (
    CoalescingLoader,
    InlineLoader,
    PooledLoader,
    SessionLoader,
    ThreadLoader,
)
from toto_gateway.sessions.store_calls import AsyncStoreGuard

if TYPE_CHECKING:
    from toto_gateway.sessions.redis_loader import RedisLoader

__all__ = ["GatewaySessions", "open_gateway_sessions"]

_log = logging.getLogger("toto.gateway.sessions")


@dataclass(frozen=True, slots=True)
class GatewaySessions:
    """What the pipeline asks of the stores. Make it after the startup function has run."""

    stores: Stores
    loader: SessionLoader
    calls: AsyncStoreGuard
    redis: "RedisLoader | None"
    """The loop's own connections to Redis."""
    touching: asyncio.Task[None] | None
    """Keeps in touch with the store that knows which client tokens have ended."""

    async def count_hit(self, key: str, ttl_seconds: float) -> int:
        """Count a key and return the sum.

        Raises:
            StoreUnavailable: the store is away.
        """
        return await self.calls.call(self.stores.connection.counters.hit, key, ttl_seconds)

    def note_ended(self, record: SessionRecord) -> None:
        """A worker said that it has ended a session: believe nothing older of it."""
        store = self.stores.connection.session_store
        if isinstance(store, ClientSessionStore):
            store.revocations.doubt(record)

    async def update(self, record: SessionRecord) -> str | None:
        """Replace a session's record; return its id, or None when it has ended.

        Raises:
            StoreUnavailable: the store is away.
        """
        return await self.calls.run(self.stores.connection.update_record, record)

    async def close(self) -> None:
        """End the loader, the threads and the connections."""
        if self.touching is not None:
            self.touching.cancel()
            await asyncio.wait([self.touching])
        await self.loader.close()
        if self.redis is not None:
            await self.redis.close()
        self.calls.close()
        self.stores.close()


def open_gateway_sessions(settings: StoreSettings, stores: Stores) -> GatewaySessions:
    """Choose how sessions are loaded: in the loop where that is possible, else in threads.

    Needs a running event loop.

    Args:
        settings: the options.
        stores: the process's stores, as the startup function left them.
    """
    is_remote = stores.database.is_remote or stores.redis_sessions is not None
    calls = AsyncStoreGuard(settings.store_timeout, is_remote=is_remote, breaker=Breaker())
    store = stores.connection.session_store
    redis = None
    if store is stores.redis_sessions:
        from toto_gateway.sessions.redis_loader import RedisLoader

        redis = RedisLoader(settings)
    loader = _make_loader(settings, store, calls, redis)
    touching = None
    if isinstance(store, ClientSessionStore):
        touching = asyncio.get_running_loop().create_task(_keep_in_touch(store, calls))
    return GatewaySessions(stores, loader, calls, redis, touching)


async def _keep_in_touch(store: ClientSessionStore, calls: AsyncStoreGuard) -> None:
    while True:
        try:
            await calls.run(store.revocations.touch)
        except StoreUnavailable:
            pass  # whoever needs the store finds out by himself
        except Exception:  # noqa: BLE001  # the edge: the task must live on
            # An application's own store may raise anything, and be well again later.
            _log.exception("the stores of ended sessions could not be asked")
        await asyncio.sleep(TOUCH_SECONDS)


def _make_loader(
    settings: StoreSettings,
    store: SessionStore,
    calls: AsyncStoreGuard,
    redis: "RedisLoader | None",
) -> SessionLoader:
    if redis is not None:
        return CoalescingLoader(redis.load_many, breaker=calls.breaker)
    if isinstance(store, ClientSessionStore):
        return InlineLoader(store, store.revocations, calls)
    if isinstance(store, CacheSessionStore):
        timeout_seconds = settings.store_timeout
        return PooledLoader(store, timeout_seconds=timeout_seconds, breaker=Breaker())
    return ThreadLoader(store, calls)
