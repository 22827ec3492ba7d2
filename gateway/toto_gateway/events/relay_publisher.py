"""Sends what is in the outbox to Redis, many messages in one round trip."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from redis.exceptions import ConnectionError

from toto_gateway.events.relay_connection import RedisConnection
from toto_gateway.events.relay_losses import Loss, LossLog
from toto_gateway.events.relay_outbox import Outbox, Publication

__all__ = ["RelayPublisher"]


class RelayPublisher:
    """Nothing is sent twice: what was on its way when a connection broke may have arrived.

    Args:
        outbox: what is to be sent.
        pulse: what is published to see whether it can be.
        losses: counts what was on its way when the connection broke.
        silence_seconds: without messages a pulse is sent so often.
    """

    def __init__(
        self, outbox: Outbox, *, pulse: Publication, losses: LossLog, silence_seconds: float
    ) -> None:
        self._outbox = outbox
        self._pulse = pulse
        self._losses = losses
        self._silence_seconds = silence_seconds
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def put(self, publication: Publication) -> None:
        """Send this after everything before; does not wait."""
        self._outbox.put(publication)
        self._emptied.clear()
        self._filled.set()

    async def work(self, connection: RedisConnection, on_works: Callable[[], None]) -> None:
        """Send on this connection until it fails."""
        await _publish(connection, [self._pulse])
        on_works()
        while True:
            if not self._outbox:
                await self._wait()
            if await connection.is_stale():
                raise ConnectionError("the server has closed the connection")
            batch = self._outbox.take()
            try:
                await _publish(connection, batch or [self._pulse])
            except BaseException:
                if batch:
                    self._losses.add(Loss.SEND_FAILED, len(batch))
                raise

    async def flush(self, timeout_seconds: float) -> None:
        """Wait until everything has been sent, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._emptied.wait()

    async def _wait(self) -> None:
        self._emptied.set()
        self._filled.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._silence_seconds):
                await self._filled.wait()


async def _publish(connection: RedisConnection, batch: Sequence[Publication]) -> None:
    await connection.send([("PUBLISH", channel, frame) for channel, frame in batch])
    for _ in batch:
        await connection.receive()
