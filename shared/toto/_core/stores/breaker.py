"""Whether the store may be asked at all: a store that is away is tried seldom, not by every call.

Decides only; it makes no calls. See M. Nygard, Release It!, "Circuit Breaker".
"""

import threading
import time
from collections.abc import Callable

from toto._core.stores.store import StoreUnavailable

__all__ = ["DOUBTS_MAX", "RETRY_SECONDS", "Breaker", "StoreFailed"]

DOUBTS_MAX = 5
"""Failures in a row, each of which may be that of one call, after which a store counts as away."""

RETRY_SECONDS = 0.5
"""Two probes a second in each process load no store, and one that is back is found within 1 s."""


class StoreFailed(StoreUnavailable):
    """A call failed for a reason that nobody knows: the store may be away, or may not like this id.

    Clients are told the same, but it opens no breaker at once: a stranger with an odd session id
    must not lock everybody out.
    """


class Breaker:
    """Closed while the store answers; while it is open, one call at a time finds out.

    The first failure opens it, or the fifth ``StoreFailed`` with no success between, and the first
    success closes it. Any thread may use it.

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
        self._doubts = 0
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
        if self._is_open or self._doubts:
            with self._lock:
                self._is_open = False
                self._doubts = 0

    def failed(self) -> None:
        """Report that the store refused a call, or did not answer in time."""
        with self._lock:
            self._open()

    def ended(self, error: BaseException | None) -> None:
        """Report how a call ended: an error that is not about being away is an answer too."""
        if not isinstance(error, StoreUnavailable):
            self.succeeded()
        elif not isinstance(error, StoreFailed):
            self.failed()
        else:
            with self._lock:
                self._doubts += 1
                if self._doubts >= DOUBTS_MAX:
                    self._open()

    def _open(self) -> None:
        # Calls that began before the opening and fail one by one after it put off no probe.
        if not self._is_open:
            self._is_open = True
            self._next_probe_at = self._clock() + self._retry_seconds
