"""Loads sessions from Redis on the event loop, many in one round trip."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import AuthenticationError, ConnectionError, TimeoutError

from toto._core.stores.outage import Outage
from toto._core.stores.record import SessionRecord
from toto._core.stores.redis_client import close_async_client, make_async_client
from toto._core.stores.redis_link import watched
from toto._core.stores.redis_sessions import read_record, session_key
from toto._core.stores.redis_url import redis_target
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import StoreUnavailable

__all__ = ["RedisLoader"]


class RedisLoader:
    """Loads the sessions of many requests at once.

    A command is never cancelled: redis-py has handed the answer of a cancelled one to the next
    caller (CVE-2023-28858, CVE-2023-28859). Each runs in a task of its own, which keeps its
    connection until the answer has come or redis-py has given up and closed the connection.
    Whoever waits is told after ``store_timeout`` at the latest.

    Args:
        settings: where Redis is.
        clock: returns seconds since the epoch.

    Raises:
        SettingsError: ``redis_url`` cannot be used.
    """

    def __init__(self, settings: StoreSettings, clock: Callable[[], float] = time.time) -> None:
        target = redis_target(settings)
        self._client = make_async_client(target, settings)
        self._prefix = settings.redis_prefix
        self._timeout_seconds = settings.store_timeout
        self._clock = clock
        self._outage = Outage(str(target))
        self._tasks: set[asyncio.Task[list[bytes | None]]] = set()

    async def load_many(self, session_ids: Sequence[str]) -> list[SessionRecord | None]:
        """Return the live session of each id, or None; any text is a possible id.

        Raises:
            StoreUnavailable: Redis cannot be reached, or did not answer within ``store_timeout``.
        """
        if not session_ids:
            return []
        keys = [session_key(self._prefix, session_id) for session_id in session_ids]
        task = asyncio.create_task(self._get_many(keys), name="sessions from Redis")
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        # asyncio.wait leaves the task alone when the caller is cancelled or the time is over.
        await asyncio.wait([task], timeout=self._timeout_seconds)
        if not task.done():
            self._outage.began(f"no answer within {self._timeout_seconds:g} s")
            raise StoreUnavailable
        with watched(self._outage):
            values = task.result()
        now = self._clock()
        return [
            read_record(value, session_id, now)
            for value, session_id in zip(values, session_ids, strict=True)
        ]

    async def close(self) -> None:
        """End all connections, after what is being loaded; a second time does nothing."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=self._timeout_seconds)
        await close_async_client(self._client)
        if self._tasks:  # without connections they fail at once
            await asyncio.wait(set(self._tasks))
            await close_async_client(self._client)

    async def _get_many(self, keys: list[str]) -> list[bytes | None]:
        try:
            return await self._get_many_once(keys)
        except AuthenticationError:
            raise
        except (ConnectionError, TimeoutError):
            # The connection was idle, and the server has been restarted meanwhile, or a firewall
            # has forgotten it.
            return await self._get_many_once(keys)

    async def _get_many_once(self, keys: list[str]) -> list[bytes | None]:
        values: Any
        if isinstance(self._client, RedisCluster):
            values = await self._client.mget_nonatomic(keys)
        else:
            values = await self._client.mget(keys)
        return list(values)

    def _forget(self, task: asyncio.Task[list[bytes | None]]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be waiting any more
