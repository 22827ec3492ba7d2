"""What waits to be sent to Redis: bounded, and never old. No I/O."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from toto_gateway.events.relay_losses import Loss, LossLog

__all__ = ["Outbox", "Publication"]

COUNT_MAX = 10_000
BYTES_MAX = 16 * 1024 * 1024
AGE_SECONDS_MAX = 2.0
"""What is older is dropped: after an outage nobody expects the events of its beginning."""
BATCH_COUNT_MAX = 64
"""Their answers are read in one turn of the event loop."""
BATCH_BYTES_MAX = 256 * 1024
_OVERHEAD_BYTES = 200
"""What each costs beyond its length."""


class Publication(NamedTuple):
    """A message and its channel."""

    channel: str
    frame: bytes


class Outbox:
    """A queue in the order of arrival; when it is full the newest are dropped.

    Args:
        clock: returns seconds of any epoch.
        losses: counts what is dropped.
    """

    def __init__(self, clock: Callable[[], float], losses: LossLog) -> None:
        self._clock = clock
        self._losses = losses
        self._waiting: deque[tuple[float, Publication]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, publication: Publication) -> None:
        """Add one behind the others, or drop it."""
        now = self._clock()
        self._drop_old(now)
        size = _size(publication)
        if len(self._waiting) >= COUNT_MAX or self._bytes + size > BYTES_MAX:
            self._losses.add(Loss.QUEUE_FULL)
            return
        self._waiting.append((now, publication))
        self._bytes += size

    def take(self) -> list[Publication]:
        """Return the oldest, as many as may be sent together; they are gone from here."""
        self._drop_old(self._clock())
        batch: list[Publication] = []
        size = 0
        while self._waiting and len(batch) < BATCH_COUNT_MAX:
            size += _size(self._waiting[0][1])
            if batch and size > BATCH_BYTES_MAX:
                break
            batch.append(self._pop())
        return batch

    def _drop_old(self, now: float) -> None:
        dropped = 0
        while self._waiting and now - self._waiting[0][0] > AGE_SECONDS_MAX:
            self._pop()
            dropped += 1
        if dropped:
            self._losses.add(Loss.TOO_OLD, dropped)

    def _pop(self) -> Publication:
        _, publication = self._waiting.popleft()
        self._bytes -= _size(publication)
        return publication


def _size(publication: Publication) -> int:
    return len(publication.frame) + _OVERHEAD_BYTES
