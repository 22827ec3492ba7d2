"""Counts what the relay loses, and tells the log of it now and then."""

import logging
from collections import Counter
from collections.abc import Callable
from enum import Enum

__all__ = ["Loss", "LossLog"]

_log = logging.getLogger("toto.events")

TELL_SECONDS = 10.0
"""Between two lines about the same loss."""


class Loss(Enum):
    """Why something did not reach other gateway processes, or came to nothing here."""

    QUEUE_FULL = "messages to other gateway processes were dropped: too many waited for Redis"
    TOO_OLD = "messages to other gateway processes were dropped: Redis did not take them in time"
    SEND_FAILED = "messages to other gateway processes may be lost: the connection to Redis broke"
    UNREADABLE = "messages of other gateway processes were ignored: they cannot be read"
    NOT_TAKEN = "events for one worker were dropped: no gateway process had a worker for them"
    NO_ROOM = "events for one worker were dropped: too many were looking for a worker elsewhere"


class LossLog:
    """Keeps one count for each kind of loss.

    Args:
        clock: returns seconds of any epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.counts: Counter[Loss] = Counter()
        self._untold: Counter[Loss] = Counter()
        self._examples: dict[Loss, str] = {}
        self._quiet_until: dict[Loss, float] = {}
        self._is_held = False
        self._clock = clock

    def add(self, loss: Loss, count: int = 1, example: str = "") -> None:
        """Count a loss; the first one is told at once, more of them with the next line.

        Args:
            loss: its kind.
            count: how many were lost.
            example: what one of them was, for the log.
        """
        self.counts[loss] += count
        self._untold[loss] += count
        self._examples[loss] = example
        if not self._is_held and self._clock() >= self._quiet_until.get(loss, float("-inf")):
            self._tell(loss)

    def hold(self) -> None:
        """Only count: why everything is lost is in the log already."""
        self._is_held = True

    def release(self) -> None:
        """Tell what was lost meanwhile, and go on."""
        self._is_held = False
        self.tell_rest()

    def tell_rest(self) -> None:
        """Tell what was not told yet, however little time has passed."""
        for loss in Loss:
            if self._untold[loss]:
                self._tell(loss)

    def _tell(self, loss: Loss) -> None:
        self._quiet_until[loss] = self._clock() + TELL_SECONDS
        example = self._examples.pop(loss)
        shown = f" (the last one: {example!r})" if example else ""
        _log.warning("%d %s%s", self._untold.pop(loss), loss.value, shown)
