"""Keeps one connection to Redis: makes it anew, ever more slowly, whenever it fails."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from random import Random

from redis.exceptions import DataError, RedisError

from toto_gateway.events.relay_connection import RedisConnection, RedisNodes
from toto_gateway.events.relay_health import RelayHealth
from toto_gateway.events.relay_timing import RelayTiming

__all__ = ["Pauses", "RelayLink", "Work"]

_log = logging.getLogger("toto.events")

_DOUBLINGS_MAX = 16
_CANCEL_SECONDS = 0.1

Work = Callable[[RedisConnection, Callable[[], None]], Awaitable[None]]
"""Uses a connection until it fails; calls the function when it has shown that it works."""


class Pauses:
    """How long to wait before the next attempt: ever longer, and each time a little different.

    All gateway processes lose a server in the same moment, and must not come back so.

    Args:
        timing: for the shortest and the longest.
        random: takes up to half of each away.
    """

    def __init__(self, timing: RelayTiming, random: Random) -> None:
        self._timing = timing
        self._random = random
        self._doublings = -1

    def next_seconds(self, up_seconds: float) -> float:
        """Return the next pause, after a connection that has worked for so long."""
        longest = self._timing.pause_seconds_max
        self._doublings = 0 if up_seconds > longest else min(self._doublings + 1, _DOUBLINGS_MAX)
        pause = math.ldexp(self._timing.pause_seconds, self._doublings)
        return min(pause, longest) * self._random.uniform(0.5, 1.0)


class RelayLink:
    """A task that has a connection, or is about to.

    Args:
        name: of the task, and of the connection for ``health``.
        work: what the connection is for.
        nodes: makes connections; closed with this link.
        health: is told how it goes.
        pauses: between attempts.
        clock: returns seconds of any epoch.
    """

    def __init__(
        self,
        name: str,
        work: Work,
        *,
        nodes: RedisNodes,
        health: RelayHealth,
        pauses: Pauses,
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._work = work
        self._nodes = nodes
        self._health = health
        self._pauses = pauses
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._up_at: float | None = None
        self._is_closed = False

    @property
    def is_up(self) -> bool:
        """True while the connection works."""
        return self._up_at is not None

    def start(self) -> None:
        """Connect, in a task; needs the running loop."""
        if self._task is None and not self._is_closed:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    async def close(self) -> None:
        """End the task and its connection; may be called twice."""
        self._is_closed = True
        while self._task is not None and not self._task.done():
            # More than once: asyncio.wait_for, which redis-py uses, may swallow a cancellation
            # before Python 3.12 (bpo-42130). The connection is not used again.
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_CANCEL_SECONDS)
        await self._nodes.close()

    async def _run(self) -> None:
        while not self._is_closed:
            try:
                await self._use_connection()
            except Exception as error:  # noqa: BLE001  # the edge: the task must live on
                self._report(error)
            finally:
                up_seconds = self._on_ended()
            await asyncio.sleep(self._pauses.next_seconds(up_seconds))

    async def _use_connection(self) -> None:
        connection = await self._nodes.connect()
        try:
            await self._work(connection, self._on_works)
        finally:
            await connection.close()

    def _on_works(self) -> None:
        self._up_at = self._clock()
        self._health.works(self._name)

    def _on_ended(self) -> float:
        up_at, self._up_at = self._up_at, None
        return 0.0 if up_at is None else self._clock() - up_at

    def _report(self, error: Exception) -> None:
        if not isinstance(error, (RedisError, OSError)) or isinstance(error, DataError):
            _log.exception("an unforeseen failure of the relay of events")
            error = OSError(type(error).__name__)
        self._health.failed(self._name, error)
