"""When a child that ended is started again. Pure: it is told times and never reads a clock."""

__all__ = ["RestartBackoff"]

FIRST_DELAY_SECONDS = 0.1
MAXIMUM_DELAY_SECONDS = 5.0
HEALTHY_UPTIME_SECONDS = 30.0


class RestartBackoff:
    """Waits twice as long after each death, until a child has stayed up for a while."""

    def __init__(self) -> None:
        self._next_delay_seconds = FIRST_DELAY_SECONDS

    def delay_after(self, uptime_seconds: float) -> float:
        """Return the seconds to wait, now that a child ended after that time."""
        if uptime_seconds >= HEALTHY_UPTIME_SECONDS:
            self._next_delay_seconds = FIRST_DELAY_SECONDS
        delay_seconds = self._next_delay_seconds
        self._next_delay_seconds = min(2 * delay_seconds, MAXIMUM_DELAY_SECONDS)
        return delay_seconds
