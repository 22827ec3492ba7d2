"""What a reader of the history is told. No I/O: both kinds of stores give their entries in here."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from toto._core.event_history import CURSOR_START, HistoryPage, RecordedEvent, order_of

__all__ = ["START", "Entry", "Place", "read_page"]


class Place(NamedTuple):
    """Where an entry stands. As text, ``MILLISECONDS-NUMBER``, it is a cursor.

    The numbers of a name begin with 1 and have no holes: what is missing shows. The time never
    runs backwards within a name. It is there for a store that forgets its last entries, as a
    replica may that takes over, or sqlite when the power fails: numbers are then given again, but
    not to the same places.
    """

    milliseconds: int
    """Since the epoch."""
    number: int

    @property
    def cursor(self) -> str:
        """The place as text."""
        return f"{self.milliseconds}-{self.number}"


START = Place(0, 0)


class Entry(NamedTuple):
    """What a store keeps of an event, or of a gap."""

    place: Place
    payload: bytes | None
    """None marks a gap."""


def read_page(
    fetch: Callable[[Place, int], Sequence[Entry]], since: str, count_max: int
) -> HistoryPage:
    """Return the events of a name behind a cursor.

    There is no gap when the entry of the cursor is still kept and those behind it follow without
    a hole or a mark. Everything else is a gap: also a cursor whose entry has just been dropped
    while the next one is kept, since a store that was set back may look the same. From the start
    there is none when the first entry is number 1.

    Args:
        fetch: returns so many entries at most, the oldest first, beginning with that of the place
            or the first one behind it.
        since: the cursor; if it is not known, the page begins with the oldest event.
        count_max: the most events. A page with fewer is the last one.
    """
    order = order_of(since)
    last, has_gap = Place(*(order or START)), False
    found = fetch(last, count_max + 1)
    if since != CURSOR_START and not (found and found[0].place == last):
        last, has_gap = START, True
        found = fetch(last, count_max + 1)
    events: list[RecordedEvent] = []
    end = ""
    while True:
        missing = count_max - len(events)
        is_end = len(found) <= missing
        for place, payload in [entry for entry in found if entry.place > last][:missing]:
            has_gap = has_gap or payload is None or place.number != last.number + 1
            last, end = place, place.cursor
            if payload is not None:
                events.append(RecordedEvent(place.cursor, payload))
        if is_end or len(events) == count_max:
            return HistoryPage(tuple(events), has_gap, end)
        # Marks have taken the room of events. What is dropped meanwhile shows as a hole.
        found = fetch(last, count_max - len(events) + 1)
