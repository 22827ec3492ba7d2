"""What a reader is told, for all that a store may have lost, marked or dropped."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from toto._core.event_history import CURSOR_START, HistoryPage, RecordedEvent
from toto._core.stores.event_history_page import Entry, Place, read_page

LENGTH = 4


def entries(*numbers: int, marks: Sequence[int] = ()) -> list[Entry]:
    return [
        Entry(Place(1000 + number, number), None if number in marks else b"%d" % number)
        for number in numbers
    ]


def cursor(number: int) -> str:
    return f"{1000 + number}-{number}"


@dataclass
class Store:
    """One name of a store, whose entries come and go while it is read."""

    kept: list[Entry]
    fetches: list[int] = field(default_factory=list)

    def fetch(self, place: Place, count: int) -> list[Entry]:
        self.fetches.append(count)
        return [each for each in self.kept if each.place >= place][:count]

    def read(self, since: str, count_max: int = 10) -> tuple[list[int], bool]:
        page = read_page(self.fetch, since, count_max)
        assert [each.cursor for each in page.events] == [cursor(int(e[1])) for e in page.events]
        return [int(each.payload) for each in page.events], page.has_gap


def test_events_follow_a_cursor_that_is_kept() -> None:
    """One look is enough."""
    store = Store(entries(1, 2, 3, 4))

    assert store.read(cursor(2)) == ([3, 4], False)
    assert store.read(cursor(4)) == ([], False)
    assert store.read(cursor(1), 2) == ([2, 3], False)
    assert len(store.fetches) == 3


def test_the_start_has_no_gap_before_number_one() -> None:
    """And has one before every other."""
    assert Store([]).read(CURSOR_START) == ([], False)
    assert Store(entries(1, 2)).read(CURSOR_START) == ([1, 2], False)
    assert Store(entries(2, 3)).read(CURSOR_START) == ([2, 3], True)


def test_a_cursor_that_is_not_kept_begins_with_the_oldest() -> None:
    """Before, behind and between those that are, or of another time, or no cursor at all."""
    store = Store(entries(3, 4))

    for since in (cursor(2), cursor(5), "1003-4", "999-3", "1003", "0-0", "00", "", "x", "-"):
        assert store.read(since) == ([3, 4], True)
        assert Store([]).read(since) == ([], True)


def test_marks_and_holes_are_gaps_for_those_before_them() -> None:
    """The mark at the end is told as well."""
    marked, holed = Store(entries(1, 2, 3, 4, marks=[3])), Store(entries(1, 2, 4))

    for store in (marked, holed):
        assert store.read(CURSOR_START) == ([1, 2, 4], True)
        assert store.read(cursor(2)) == ([4], True)
        assert store.read(cursor(1), 1) == ([2], False)
        assert store.read(cursor(4)) == ([], False)
    assert marked.read(cursor(3)) == ([4], False)
    assert Store(entries(1, 2, marks=[2])).read(cursor(1)) == ([], True)


def test_reading_goes_on_behind_the_last_mark() -> None:
    """So that it is told once; behind the last event when the page is full."""
    store = Store(entries(1, 2, 3, 4, marks=[1, 4]))

    for since, count_max, end in [
        (CURSOR_START, 9, cursor(4)),
        (cursor(1), 2, cursor(3)),
        (cursor(3), 9, cursor(4)),
        (cursor(4), 9, ""),
        ("unknown", 1, cursor(2)),
    ]:
        assert read_page(store.fetch, since, count_max).end == end
    assert read_page(Store([]).fetch, "unknown", 9).end == ""


def test_marks_take_no_room() -> None:
    """A page with fewer events than were asked for is the last one."""
    store = Store(entries(*range(1, 30), marks=[*range(2, 25)]))

    assert store.read(cursor(1), 3) == ([25, 26, 27], True)
    assert store.read(cursor(1), 9) == ([25, 26, 27, 28, 29], True)


def test_what_is_dropped_meanwhile_is_a_gap() -> None:
    """Between two looks of one reader."""
    store = Store(entries(1, 2, 3, 4, 5, 6, 7, marks=[2, 3]))
    fetch = store.fetch

    def drop_behind_it(place: Place, count: int) -> list[Entry]:
        found = fetch(place, count)
        store.kept = entries(6, 7, 8)
        return found

    page = read_page(drop_behind_it, cursor(1), 4)

    assert page == HistoryPage(
        tuple(RecordedEvent(cursor(n), b"%d" % n) for n in (4, 5, 6, 7)),
        has_gap=True,
        end=cursor(7),
    )


@dataclass
class Name:
    """What happens to a name: the truth, and what a store keeps of it."""

    sent: list[Entry] = field(default_factory=list)
    """All that was ever recorded, without what the store has lost by itself."""
    lost: list[Entry] = field(default_factory=list)
    kept: list[Entry] = field(default_factory=list)
    milliseconds: int = 1000

    def happens(self, step: str) -> None:
        self.milliseconds += step != "at once"
        if step == "set back":
            middle = len(self.kept) // 2
            self.lost += self.kept[middle:]
            del self.kept[middle:]
            self.sent = [each for each in self.sent if each not in self.lost]
        elif step == "forgotten":
            self.kept.clear()
        else:
            last = self.kept[-1].place.number if self.kept else 0
            payload = None if step == "missed" else b"%d" % len(self.sent)
            self.kept.append(Entry(Place(self.milliseconds, last + 1), payload))
            self.sent.append(self.kept[-1])
            del self.kept[:-LENGTH]

    def fetch(self, place: Place, count: int) -> list[Entry]:
        return [each for each in self.kept if each.place >= place][:count]

    def read_to_the_end(self, since: str, count_max: int) -> tuple[list[bytes], bool]:
        page = read_page(self.fetch, since, count_max)
        events, has_gap = [*page.events], page.has_gap
        while len(page.events) == count_max:
            page = read_page(self.fetch, events[-1].cursor, count_max)
            events += page.events
            has_gap = has_gap or page.has_gap
        return [each.payload for each in events], has_gap


STEPS = st.lists(st.sampled_from(["sent", "at once", "missed", "set back", "forgotten"]))


@given(STEPS, st.integers(1, 6))
def test_no_gap_is_passed_over(steps: list[str], count_max: int) -> None:
    """Whoever reads on from any event to the end gets all that was sent since, or is told; and so
    is whoever knows an event that the store does not know any more."""
    name = Name()
    for step in steps:
        name.happens(step)

    for index, entry in enumerate(name.sent):
        read, has_gap = name.read_to_the_end(entry.place.cursor, count_max)
        # A gap among those sent is equal to nothing that can be read.
        assert has_gap or read == [each.payload for each in name.sent[index + 1 :]]
    for entry in name.lost:
        assert name.read_to_the_end(entry.place.cursor, count_max)[1]
