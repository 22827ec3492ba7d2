"""Counters in the memory of one process, where there is no database to keep them."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

__all__ = ["MemoryCounters"]

KEYS_MAX = 100_000
"""The oldest key is forgotten beyond: strangers choose the keys."""


class MemoryCounters:
    """A ``CounterStore`` that other processes do not see and a restart empties.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def hit(self, key: str, ttl_seconds: float) -> int:
        """Count one and return the sum; the first one starts the key's time."""
        now = self._clock()
        with self._lock:
            count, until = self._counts.get(key, (0, 0.0))
            if until <= now:
                count, until = 0, now + ttl_seconds
                self._counts.pop(key, None)
            self._counts[key] = (count + 1, until)
            if len(self._counts) > KEYS_MAX:
                self._counts.popitem(last=False)
            return count + 1

    def counts(self, keys: Sequence[str]) -> list[int]:
        """Return the present sums, 0 for a key that is unknown or over."""
        now = self._clock()
        with self._lock:
            known = [self._counts.get(key, (0, 0.0)) for key in keys]
        return [count if until > now else 0 for count, until in known]

    def clear(self, key: str) -> None:
        """Forget a key."""
        with self._lock:
            self._counts.pop(key, None)
