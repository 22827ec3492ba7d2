"""An object that only one thread may use at a time."""

import threading
import time


class Counter:
    """Adds numbers up, and finds out when two threads do so at once."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def add(self, number: int, *, times: int = 1) -> int:
        """Add a number so many times and return the sum."""
        assert self._lock.acquire(blocking=False), "two threads at once"
        try:
            time.sleep(0.001)  # long enough for another thread to come by
            self.count += number * times
            return self.count
        finally:
            self._lock.release()

    def fail(self) -> None:
        """Raise an error."""
        raise ValueError("the counter is broken")
