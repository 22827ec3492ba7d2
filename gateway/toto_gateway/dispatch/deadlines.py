"""The deadlines of all pending calls behind one timer."""

import asyncio
import heapq
from collections.abc import Callable

from toto_gateway.dispatch.pending import PendingCall

__all__ = ["Deadlines"]


class Deadlines:
    """Calls back for each call whose deadline passes before it answered.

    A heap and one timer, because a timer of the loop's own per call costs more than the call's
    message; calls that ended in time leave the heap when their moment comes.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_expired: Callable[[PendingCall], None]
    ) -> None:
        self._loop = loop
        self._on_expired = on_expired
        self._heap: list[tuple[float, int, PendingCall]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = 0.0

    def add(self, call: PendingCall) -> None:
        """Watch the call's deadline (on the loop's clock)."""
        heapq.heappush(self._heap, (call.deadline, call.call_id, call))
        if self._timer is None or call.deadline < self._due_at:
            self._arm()

    def close(self) -> None:
        """Stop; may be called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._heap.clear()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._due_at = self._heap[0][0]
            self._timer = self._loop.call_at(self._due_at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].is_ended):
            _, _, call = heapq.heappop(self._heap)
            if not call.is_ended:
                self._on_expired(call)
        self._arm()
