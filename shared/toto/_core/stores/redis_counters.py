"""Counters in Redis: integers that expire by themselves."""

import hashlib
from collections.abc import Sequence
from typing import Any

from toto._core.stores.outage import Outage
from toto._core.stores.redis_client import AnyRedis
from toto._core.stores.redis_link import RedisLink

__all__ = ["RedisCounterStore"]


class RedisCounterStore:
    """Counts in Redis; a ``CounterStore``. Keys are hashed: they may hold tokens, and be long.

    Args:
        client: gives answers as bytes (no ``decode_responses``).
        prefix: what every key begins with.
        outage: shared by all who use the client; None for one of its own.
    """

    def __init__(self, client: AnyRedis, *, prefix: str, outage: Outage | None = None) -> None:
        self._link = RedisLink(client, prefix, outage or Outage("Redis"))

    def hit(self, key: str, ttl_seconds: float) -> int:
        """Count one and return the sum; the first one starts the key's time. Atomic."""
        milliseconds = max(1, round(ttl_seconds * 1000))
        name = self._key(key)

        def queue(pipeline: Any) -> None:
            # EXPIRE has NX from Redis 7.0 only. INCR keeps the expiry of the key.
            pipeline.set(name, 0, px=milliseconds, nx=True)
            pipeline.incr(name)

        return int(self._link.execute(queue)[1])

    def counts(self, keys: Sequence[str]) -> list[int]:
        """Return the present sums, 0 for a key that is unknown or over."""
        return [int(value or 0) for value in self._link.get_many([self._key(key) for key in keys])]

    def clear(self, key: str) -> None:
        """Forget a key."""
        with self._link.connected() as client:
            client.delete(self._key(key))

    def _key(self, key: str) -> str:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass"))
        return self._link.key("counter", digest.hexdigest())
