"""How patient a relay is with Redis."""

from dataclasses import dataclass

__all__ = ["RelayTiming"]


@dataclass(frozen=True, slots=True)
class RelayTiming:
    """Times in seconds. A connection that nobody answers on is given up within four or so."""

    command_seconds: float = 4.0
    """Longest wait for a command; each step of it, connecting too, has nearly half of that."""
    silence_seconds: float = 1.5
    """After so much silence the server is asked whether it is there, and has as long to answer."""
    pause_seconds: float = 0.05
    """Longest pause before the second attempt to connect; each further one is twice as long."""
    pause_seconds_max: float = 2.0
    flush_seconds: float = 0.3
    """Closing waits so long for what is still to be sent."""
