"""The part of an event loop that the dispatch client uses, on a clock that the test turns."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any


class ManualHandle:
    """A scheduled callback."""

    def __init__(self, callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self._callback: Callable[..., object] | None = callback
        self._arguments = arguments

    def cancel(self) -> None:
        """Do not run."""
        self._callback = None

    def run(self) -> None:
        """Run unless cancelled."""
        if self._callback is not None:
            self._callback(*self._arguments)


class ManualLoop:
    """Runs callbacks when told to; time passes only by ``advance``."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._ready: list[ManualHandle] = []
        self._timers: list[tuple[float, int, ManualHandle]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        """Return the time in seconds."""
        return self._now

    def call_soon(self, callback: Callable[..., object], *arguments: Any) -> ManualHandle:
        """Run at the next ``run_ready``."""
        handle = ManualHandle(callback, arguments)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *arguments: Any
    ) -> ManualHandle:
        """Run when so much time has passed."""
        return self.call_at(self._now + delay, callback, *arguments)

    def call_at(
        self, when: float, callback: Callable[..., object], *arguments: Any
    ) -> ManualHandle:
        """Run at that time."""
        handle = ManualHandle(callback, arguments)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def run_ready(self) -> None:
        """Run what is due, and what that makes due."""
        while self._ready or (self._timers and self._timers[0][0] <= self._now):
            ready, self._ready = self._ready, []
            while self._timers and self._timers[0][0] <= self._now:
                ready.append(heapq.heappop(self._timers)[2])
            for handle in ready:
                handle.run()

    def advance(self, seconds: float) -> None:
        """Let time pass, then run what is due."""
        self._now += seconds
        self.run_ready()
