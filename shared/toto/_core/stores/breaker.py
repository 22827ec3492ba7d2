"""Whether the store may be asked at all: a store that is away is tried seldom, not by every call.

Decides only; it makes no calls. See M. Nygard, Release It!, "Circuit Breaker".
"""

import threading
import time
from collections.abc import Callable

__all__ = ["RETRY_SECONDS", "Breaker"]

RETRY_SECONDS = 0.5
"""Two probes a second in each process load no store, and one that is back is found within 1 s."""


class Breaker:
    """Closed while the store answers; while it is open, one call at a time finds out.

    The first failure opens it and the first success closes it. Any thread may use it.

    Args:
        clock: monotonic seconds.
        retry_seconds: time from the opening to the first probe, and from one probe to the next.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._is_open = False
        self._next_probe_at = 0.0

    def allows(self) -> bool:
        """Tell whether the store may be called now; True of an open breaker is one probe.

        Ask once for each call and make the call, or the probe is lost.
        """
        if not self._is_open:
            return True
        with self._lock:
            now = self._clock()
            if now < self._next_probe_at:
                return not self._is_open  # another thread may have closed it meanwhile
            # A time and not a mark that a probe is out: one that never reports blocks nobody.
            self._next_probe_at = now + self._retry_seconds
            return True

    def succeeded(self) -> None:
        """Report that the store answered a call."""
        if self._is_open:
            with self._lock:
                self._is_open = False

    def failed(self) -> None:
        """Report that the store refused a call, or did not answer in time."""
        with self._lock:
            # Calls that began before the opening and fail one by one after it put off no probe.
            if not self._is_open:
                self._is_open = True
                self._next_probe_at = self._clock() + self._retry_seconds
