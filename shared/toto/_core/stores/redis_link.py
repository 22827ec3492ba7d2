"""What all stores in one Redis share: its client, its keys, and what its errors mean."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import quote

import redis
from redis.cluster import RedisCluster
from redis.exceptions import (
    AskError,
    ConnectionError,
    DataError,
    MovedError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
    TimeoutError,
    TryAgainError,
    WatchError,
)

from toto._core.stores.outage import Outage
from toto._core.stores.redis_client import AnyRedis, LazyCluster
from toto._core.stores.store import StoreUnavailable

__all__ = ["RedisLink", "quoted", "watched"]

_TRANSACTION_ATTEMPTS_MAX = 50
"""Of a change that others keep getting ahead of; each time one of them has succeeded."""
_NOTHING_HAPPENED = (WatchError, MovedError, AskError, TryAgainError)
"""A transaction that ends like this has changed nothing and can be made again."""
_REASON_CHARACTERS = 200


@contextmanager
def watched(outage: Outage) -> Iterator[None]:
    """Run commands in this context; what redis-py raises there is an outage.

    Raises:
        StoreUnavailable: the server could not be reached, or would not do it.
    """
    try:
        yield
    except DataError:  # refused by redis-py itself: the caller's mistake
        raise
    except (RedisError, RedisClusterException, OSError) as error:
        shown = _plain(error)
        outage.began(_reason(error, shown))
        raise StoreUnavailable from shown
    outage.ended()


class RedisLink:
    """A client and the prefix of its keys.

    Args:
        client: gives answers as bytes (no ``decode_responses``).
        prefix: what every key begins with.
        outage: shared by all who use the client.
    """

    def __init__(self, client: AnyRedis, prefix: str, outage: Outage) -> None:
        self._client = client
        self._prefix = prefix
        self._outage = outage

    @contextmanager
    def connected(self) -> Iterator[redis.Redis]:
        """Give the client out, and raise ``StoreUnavailable`` for its errors."""
        with watched(self._outage):
            # A cluster has all commands used here.
            yield cast(redis.Redis, self._client)

    def key(self, kind: str, name: str) -> str:
        """Return the key of a thing."""
        return f"{self._prefix}{kind}:{name}"

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of keys in one round trip (one to each node of a cluster)."""
        if not keys:
            return []
        with self.connected() as client:
            if isinstance(self._client, (RedisCluster, LazyCluster)):
                values = self._client.mget_nonatomic(keys)
            else:
                values = client.mget(keys)
        return cast("list[bytes | None]", values)

    def execute(self, queue: Callable[[Any], None]) -> list[Any]:
        """Run commands on one key as one, and return their results.

        Args:
            queue: is given the pipeline and puts the commands there.
        """
        with self.connected() as client, self._pipeline(client) as pipeline:
            queue(pipeline)
            return cast("list[Any]", pipeline.execute())

    def transact(self, key: str, prepare: Callable[[Any], bool]) -> bool:
        """Change one key by what it holds, atomically.

        Args:
            key: the only key that may be used.
            prepare: is given the pipeline, on which it reads; it then calls ``multi()``, queues
                its commands and returns True, or it returns False to change nothing. It is
                called again when somebody else has changed the key meanwhile.

        Returns:
            what ``prepare`` returned at last.
        """
        with self.connected() as client, self._pipeline(client) as pipeline:
            for _ in range(_TRANSACTION_ATTEMPTS_MAX):
                try:
                    pipeline.watch(key)
                    if not prepare(pipeline):
                        return False
                    pipeline.execute()
                    return True
                except _NOTHING_HAPPENED:
                    pipeline.reset()
            raise WatchError("somebody else was always faster")

    def _pipeline(self, client: redis.Redis) -> Any:  # untyped there
        return client.pipeline(transaction=True)


def quoted(name: str) -> str:
    """Return a name as a part of a key: readable, without control characters and braces.

    Braces would choose the slot of a cluster, and with them anybody the node.
    """
    return quote(name, safe="@+", errors="surrogatepass")


def _plain(error: BaseException) -> BaseException | None:
    """Return the error, or what caused it, if its text quotes no command: arguments are secret."""
    for shown in (error, error.__cause__):
        is_plain = isinstance(shown, (ConnectionError, TimeoutError, NoPermissionError, OSError))
        if is_plain and "Command #" not in str(shown):
            return shown
    return None


def _reason(error: BaseException, shown: BaseException | None) -> str:
    name = type(error).__name__
    if shown is None:
        return name
    text, _, _ = str(shown).partition(" : <")  # of sentinels redis-py adds the whole client
    return f"{name}: {text[:_REASON_CHARACTERS]!r}"
