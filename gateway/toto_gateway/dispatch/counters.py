"""What a gateway process counts of its calls."""

from dataclasses import dataclass

__all__ = ["DispatchCounters"]


@dataclass(slots=True)
class DispatchCounters:
    """What has been seen since the start."""

    late_replies: int = 0
    workers_lost: int = 0
