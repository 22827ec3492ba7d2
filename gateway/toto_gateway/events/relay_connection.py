"""Connections to Redis of one's own: never in a pool, and never used again after a failure."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from toto._core.stores.redis_client import close_async_client, make_async_client
from toto._core.stores.redis_url import RedisTarget, redis_target
from toto._core.stores.settings import StoreSettings

__all__ = ["RedisConnection", "RedisNodes"]


class RedisConnection:
    """One connection. Whoever has it uses it in one task, and closes it after any failure.

    Every method but ``close`` raises ``redis.exceptions.RedisError`` or ``OSError``.

    Args:
        connection: a connected one of redis-py.
    """

    def __init__(self, connection: Any) -> None:  # untyped there
        self._connection = connection
        writer = getattr(connection, "_writer", None)
        self._transport = getattr(writer, "transport", None)

    async def send(self, commands: Sequence[Sequence[str | bytes]]) -> None:
        """Send commands together; the answers are to be received one by one."""
        packed = self._connection.pack_commands(commands)
        await self._connection.send_packed_command(packed, check_health=False)

    async def receive(self, timeout_seconds: float | None = None) -> Any:
        """Return the next answer or message; None when there was none in so many seconds.

        Without a number it waits as long as a command may take, and then fails.
        """
        return await self._connection.read_response(timeout=timeout_seconds)

    async def is_stale(self) -> bool:
        """Tell whether the server has closed it, or has said what it was not asked."""
        return bool(await self._connection.can_read())

    async def close(self) -> None:
        """End it at once; a second time does nothing."""
        try:
            await self._connection.disconnect(nowait=True)
        finally:
            # Closing alone waits until a silent server has read what was sent.
            if self._transport is not None:
                self._transport.abort()


class RedisNodes:
    """Makes connections to the Redis of the settings.

    In a cluster any node will do: it passes on to all of them what is published, and pub/sub has
    no slots. Those that the settings name are tried one after another.

    Args:
        settings: where Redis is.
        timeout_seconds: longest wait for a command or a connection; it replaces ``store_timeout``.
        random: chooses the first node.

    Raises:
        SettingsError: ``redis_url`` cannot be used.
    """

    def __init__(self, settings: StoreSettings, timeout_seconds: float, random: Random) -> None:
        target = redis_target(settings)
        patient = replace(settings, store_timeout=timeout_seconds)
        self._clients = [make_async_client(node, patient) for node in _nodes(target)]
        self._turn = random.randrange(len(self._clients))

    async def connect(self) -> RedisConnection:
        """Return a new connection to the node whose turn it is.

        Raises:
            redis.exceptions.RedisError: it cannot be reached, or does not let us in.
        """
        client: Any = self._clients[self._turn % len(self._clients)]
        self._turn += 1
        connection = client.connection_pool.make_connection()
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return RedisConnection(connection)

    async def close(self) -> None:
        """End the connections to sentinels; a second time does nothing."""
        for client in self._clients:
            await close_async_client(client)


def _nodes(target: RedisTarget) -> list[RedisTarget]:
    if target.kind != "cluster":
        return [target]
    return [replace(target, kind="server", addresses=(address,)) for address in target.addresses]
