"""What is kept of the events that were sent: who was away can read what he has missed."""

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = [
    "CURSOR_START",
    "EventHistory",
    "HistoryPage",
    "NewEvent",
    "RecordedEvent",
    "number_of",
    "order_of",
]

CURSOR_START = "0"
"""Stands before the first event of every name."""
_CURSOR = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", re.ASCII)
"""No store gives longer ones, and all take these: they fit in 64 bits."""


class NewEvent(NamedTuple):
    """An event to be recorded."""

    name: str
    payload: bytes


class RecordedEvent(NamedTuple):
    """An event of the history."""

    cursor: str
    payload: bytes


class HistoryPage(NamedTuple):
    """What followed a cursor."""

    events: tuple[RecordedEvent, ...]
    """The oldest first."""
    has_gap: bool
    """Something behind the cursor is not there any more, or nobody can tell."""
    end: str = ""
    """Where reading goes on: the place of the last event or mark; empty when there was neither."""


class EventHistory(Protocol):
    """The last events of every name. Its methods block, and any thread may call them.

    A cursor is an event's number within its name. The numbers have no holes, and nobody sees one
    before those below it.

    All raise ``StoreUnavailable`` when the store cannot be reached in time.
    """

    def append(self, events: Sequence[NewEvent]) -> list[str]:
        """Record events in this order, and return the cursor of each."""

    def mark_gap(self, names: Sequence[str]) -> None:
        """Record that events of these names were lost: whoever reads over this place is told."""

    def read(self, name: str, since: str, count_max: int) -> HistoryPage:
        """Return the events of a name behind a cursor, the oldest first.

        A text that is no cursor, or one that is not known any more, gives the oldest events that
        are kept, with a gap.
        """

    def latest(self, name: str) -> str:
        """Return the cursor of the last event of a name; ``CURSOR_START`` when there is none."""

    def close(self) -> None:
        """End all connections; may be called twice."""


def order_of(cursor: str) -> tuple[int, int] | None:
    """Return what cursors of one name are ordered by, or None for a text that is none."""
    match = _CURSOR.fullmatch(cursor)
    return None if match is None else (int(match[1]), int(match[2] or 0))


def number_of(cursor: str) -> int | None:
    """Return the number of an event within its name, or None for a text that is no cursor.

    It is the last of the numbers in the cursor; the one before it, if there is one, tells when the
    event was recorded, so that a cursor of a history that was lost fits no other.
    """
    match = _CURSOR.fullmatch(cursor)
    return None if match is None else int(match[2] or match[1])
