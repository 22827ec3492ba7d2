"""How long methods run: an average, and whether a method is quick enough to be sent ahead."""

__all__ = ["MethodTimes", "Timing"]

FAST_MEAN_MICROSECONDS = 2_000
FAST_MAX_MICROSECONDS = 10_000
FAST_WINDOW_CALLS = 1_000
FAST_SAMPLES_MIN = 8
"""Calls seen before a method may be called fast."""
SMOOTHING = 0.1
"""Weight of the newest sample in the moving average."""
ROUND_TRIP_MICROSECONDS = 400
"""What sending ahead has to hide: worker to gateway and back, measured on two loaded cores."""
AHEAD_MAX = 16


class Timing:
    """Run times of one method."""

    __slots__ = ("mean_microseconds", "samples", "since_slow")

    def __init__(self) -> None:
        self.mean_microseconds = 0.0
        self.samples = 0
        self.since_slow = 0

    def add(self, microseconds: int) -> None:
        """Take in one run time."""
        if self.samples:
            self.mean_microseconds += SMOOTHING * (microseconds - self.mean_microseconds)
        else:
            self.mean_microseconds = float(microseconds)
        self.samples += 1
        if microseconds > FAST_MAX_MICROSECONDS:
            self.since_slow = FAST_WINDOW_CALLS
        elif self.since_slow:
            self.since_slow -= 1

    @property
    def is_fast(self) -> bool:
        """Mean under 2 ms, and no call over 10 ms among the last thousand."""
        return (
            self.samples >= FAST_SAMPLES_MIN
            and self.mean_microseconds < FAST_MEAN_MICROSECONDS
            and not self.since_slow
        )

    @property
    def ahead(self) -> int:
        """Calls that may be under way beyond a worker's slots: enough to hide the round trip."""
        if not self.is_fast:
            return 0
        return max(1, min(AHEAD_MAX, round(ROUND_TRIP_MICROSECONDS / (self.mean_microseconds + 1))))


class MethodTimes:
    """The timings of all methods, by name. Names come from method tables, never from requests."""

    def __init__(self) -> None:
        self._timings: dict[str, Timing] = {}

    def of(self, method: str) -> Timing:
        """Return the timing of ``method``, made at its first use."""
        timing = self._timings.get(method)
        if timing is None:
            timing = self._timings[method] = Timing()
        return timing
