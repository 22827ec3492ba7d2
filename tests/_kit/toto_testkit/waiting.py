"""Wait for what another process does, with a deadline and without a guessed sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.005


def poll_until(predicate: Callable[[], T], deadline_seconds: float = 10.0, message: str = "") -> T:
    """Call the predicate every 5 ms and return its first true value.

    Raises:
        AssertionError: there was none in time.
    """
    give_up_at = time.monotonic() + deadline_seconds
    while not (value := predicate()):
        if time.monotonic() > give_up_at:
            raise AssertionError(f"not within {deadline_seconds} s: {message or predicate}")
        time.sleep(POLL_SECONDS)
    return value
