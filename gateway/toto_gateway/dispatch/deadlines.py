"""The deadlines of all pending calls behind one timer."""

import asyncio
import heapq
import math
from collections.abc import Callable

from toto_gateway.dispatch.pending import PendingCall

__all__ = ["Deadlines"]

TICK_SECONDS = 0.02
"""Deadlines are kept to this precision."""


class Deadlines:
    """Calls back for each call whose deadline passes before it is removed.

    Calls are kept by tick, and leave at their end: a timer of the loop's own for every call would
    cost more than the call's message, and a heap of calls would keep each one, and its body, until
    long after its answer.

    Args:
        loop: has the clock and the timer.
        on_expired: called with a call whose time is over.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_expired: Callable[[PendingCall], None]
    ) -> None:
        self._loop = loop
        self._on_expired = on_expired
        self._calls: dict[int, dict[int, PendingCall]] = {}
        self._ticks: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: PendingCall) -> None:
        """Watch the call's deadline (on the loop's clock)."""
        tick = _tick_of(call)
        calls = self._calls.get(tick)
        if calls is None:
            calls = self._calls[tick] = {}
            heapq.heappush(self._ticks, tick)
            if self._ticks[0] == tick:
                self._arm()
        calls[call.call_id] = call

    def remove(self, call: PendingCall) -> None:
        """Stop watching a call; does nothing if it is not watched."""
        calls = self._calls.get(_tick_of(call))
        if calls is not None:
            calls.pop(call.call_id, None)

    def close(self) -> None:
        """Stop; may be called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._calls.clear()
        self._ticks.clear()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._ticks[0] * TICK_SECONDS, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._ticks and self._ticks[0] * TICK_SECONDS <= now:
            for call in self._calls.pop(heapq.heappop(self._ticks)).values():
                self._on_expired(call)
        if self._ticks:
            self._arm()


def _tick_of(call: PendingCall) -> int:
    return math.ceil(call.deadline / TICK_SECONDS)
