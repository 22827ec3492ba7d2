"""Reads the two channels of a gateway process."""

import asyncio
from collections.abc import Callable

from redis.exceptions import TimeoutError

from toto_gateway.events.relay_connection import RedisConnection
from toto_gateway.events.relay_messages import Channels

__all__ = ["OnFrame", "RelayReader"]

OnFrame = Callable[[bytes, bool], None]
"""Is given a message, and True when it came on the channel of all."""

TURN_COUNT_MAX = 32
"""After so many messages the event loop has its turn: those that have come in one piece are read
without waiting."""


class RelayReader:
    """Subscribes, and passes on what comes.

    Args:
        channels: their names.
        gateway_id: of this process.
        on_frame: is given every message.
        silence_seconds: after so much silence the server is asked whether it is there.
    """

    def __init__(
        self, channels: Channels, gateway_id: bytes, on_frame: OnFrame, *, silence_seconds: float
    ) -> None:
        self._names = (channels.everyone, channels.of(gateway_id))
        self._everyone = channels.everyone.encode()
        self._on_frame = on_frame
        self._silence_seconds = silence_seconds

    async def work(self, connection: RedisConnection, on_works: Callable[[], None]) -> None:
        """Read on this connection until it fails."""
        await connection.send([("SUBSCRIBE", *self._names)])
        is_asked = True
        count = 0
        while True:
            reply = await connection.receive(self._silence_seconds)
            if reply is None:
                if is_asked:
                    raise TimeoutError("the server is silent")
                await connection.send([("PING",)])
                is_asked = True
                continue
            is_asked = False
            match reply:
                case [b"message", bytes(channel), bytes(frame)]:
                    self._on_frame(frame, channel == self._everyone)
                case [b"subscribe", _, int(subscribed)] if subscribed == len(self._names):
                    on_works()
            count += 1
            if count % TURN_COUNT_MAX == 0:
                await asyncio.sleep(0)
