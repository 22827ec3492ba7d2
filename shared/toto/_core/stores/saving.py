"""Writes what was changed in a session, whoever else writes the same session meanwhile."""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from toto._core.stores.record import SessionRecord
from toto._core.stores.store import StoreUnavailable

__all__ = ["TRIES_MAX", "Records", "save_change"]

TRIES_MAX = 200
"""Each time one of the others has succeeded. Among eight that save without a break one try in ten
is the fastest: 50 of them were in vain now and then."""
_PAUSE_SECONDS = 0.005
_PAUSE_SECONDS_MAX = 0.05


class Records(Protocol):
    """Where records are: a ``DBConnection``."""

    @property
    def is_exchanging(self) -> bool:
        """Whether ``update_record`` compares and writes in one step."""

    def load_record(self, session_id: str) -> SessionRecord | None:
        """Return a live session's record."""

    def update_record(
        self, record: SessionRecord, *, replaces: SessionRecord | None = None
    ) -> str | None:
        """Replace a record; return its id, or None when nothing was written."""


def save_change(
    records: Records, loaded: SessionRecord, change: Callable[[SessionRecord], SessionRecord]
) -> SessionRecord | None:
    """Change a session's record, without undoing what others change at the same time.

    One update when nobody else wrote the session since it was loaded. Blocks, and sleeps between
    later tries.

    Args:
        records: where the session is.
        loaded: its record as it was known last.
        change: makes the new record of the present one; it is asked again for each newer one.

    Returns:
        The record as it was saved, under an id that may be new; None when the session has ended.

    Raises:
        StoreUnavailable: the store is away, or others were faster each time.
    """
    present = loaded
    for tries in range(1, TRIES_MAX + 1):
        record = change(present)
        if tries > 1 and record == present:
            return present  # there is nothing to write, or an earlier try was done after all
        # A cache compares before it writes, so that it may as well not compare: one that gives
        # back something else than what it was given could never be written.
        is_compared = records.is_exchanging or tries == 1
        saved_id = records.update_record(record, replaces=present if is_compared else None)
        if saved_id is not None:
            return replace(record, session_id=saved_id)
        if tries > 1:
            time.sleep(_pause_seconds(tries))
        latest = records.load_record(loaded.session_id)
        if latest is None:
            return None
        present = latest
    raise StoreUnavailable


def _pause_seconds(tries: int) -> float:
    # At random, or those who met once would meet again.
    return random.uniform(0, min(_PAUSE_SECONDS * tries, _PAUSE_SECONDS_MAX))  # noqa: S311
