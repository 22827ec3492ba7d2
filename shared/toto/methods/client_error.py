"""Take a client's report of an error into the log: parameters ``client_error``, ``client_type``.

Anybody may call it, so what is logged is bounded in size, number and characters.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from toto.invocation import requires

logger = logging.getLogger("toto.client_error")

LINES_PER_MINUTE = 60
"""Of one process: more would push the log's own lines out of sight."""
LINE_BYTES_MAX = 2048
"""Of the report (OWASP ASVS 5, 16.4.1, asks for escaping; the size is that of a long traceback)."""
_TYPE_BYTES_MAX = 128


class LineBudget:
    """A token bucket: so many lines at once, and as many again in every minute.

    Args:
        lines_per_minute: the number.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        lines_per_minute: int = LINES_PER_MINUTE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lines_max = lines_per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._lines = float(lines_per_minute)
        self._filled_at = clock()

    def take(self) -> bool:
        """Take one line out of the budget; False when there is none left."""
        with self._lock:
            now = self._clock()
            gained = (now - self._filled_at) * self._lines_max / 60
            self._lines = min(float(self._lines_max), self._lines + gained)
            self._filled_at = now
            if self._lines < 1:
                return False
            self._lines -= 1
            return True


# A method is a module: what one call leaves for the next has no other place.
_BUDGET = LineBudget()


@requires("client_error", "client_type")
def invoke(handler: Any, parameters: Any) -> dict[str, Any]:
    """Log the report, unless there were too many of late."""
    return {"logged": log_report(parameters["client_error"], parameters["client_type"], _BUDGET)}


def log_report(error: Any, client_type: Any, budget: LineBudget) -> bool:
    """Log one line about a client's error; False when the budget is used up.

    Args:
        error: whatever the client sent; shown in 2 KiB at most, control characters escaped.
        client_type: the same, in 128 bytes.
        budget: the lines that may be logged.
    """
    if not budget.take():
        return False
    logger.error(
        "client error from %s: %s",
        _shown(client_type, _TYPE_BYTES_MAX),
        _shown(error, LINE_BYTES_MAX),
    )
    return True


def _shown(value: Any, bytes_max: int) -> str:
    try:
        text = value if isinstance(value, str) else repr(value)
    except (ValueError, RecursionError):  # an integer of over 4300 digits; a list too deep
        text = f"<{type(value).__name__}>"
    escaped = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:bytes_max]
    )
    return escaped.encode()[:bytes_max].decode(errors="ignore")
