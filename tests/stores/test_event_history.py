"""What every store promises of the history of events."""

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from toto._core.event_history import (
    CURSOR_START,
    EventHistory,
    HistoryPage,
    NewEvent,
    number_of,
    order_of,
)
from toto._core.kinds import SettingsError
from toto._core.stores.open_event_history import check_event_history, open_event_history
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import StoreUnavailable
from toto_testkit.history_writers import append_many
from toto_testkit.ports import free_port
from toto_testkit.store_processes import in_processes
from toto_testkit.stores import STORE_NAMES, TIMEOUT_SECONDS, at_once, store_settings

LENGTH = 5
NAMES = ["e", "Zo\u00eb \U0001f600", "{slot}", "a:b*?[x]", "%s' --", "\n", "x" * 128, "a\0b", " a "]


@pytest.fixture(scope="module", params=STORE_NAMES)
def settings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StoreSettings]:
    """Each store in turn, empty at first; tests keep apart by names."""
    with store_settings(request.param, tmp_path_factory.mktemp("history")) as given:
        yield replace(given, store_timeout=TIMEOUT_SECONDS)


@pytest.fixture
def history(settings: StoreSettings) -> Iterator[EventHistory]:
    """A history that keeps five events."""
    with closing(open_event_history(settings, length=LENGTH)) as opened:
        yield opened


@pytest.fixture
def reader(settings: StoreSettings) -> Iterator[EventHistory]:
    """The same history as another process sees it that only reads."""
    with closing(open_event_history(settings, length=0)) as opened:
        yield opened


@pytest.fixture
def name() -> str:
    """A name of the test's own."""
    return f"event-{secrets.token_hex(8)}"


def append(history: EventHistory, name: str, count: int, first: int = 0) -> list[str]:
    events = [NewEvent(name, b"%d" % number) for number in range(first, first + count)]
    return history.append(events)


def numbers(page: HistoryPage) -> list[int]:
    return [int(event.payload) for event in page.events]


def test_events_are_read_in_their_order(
    history: EventHistory, reader: EventHistory, name: str
) -> None:
    """All behind a cursor, with the cursors that were given; nothing behind the last one."""
    cursors = append(history, name, 3)

    page = reader.read(name, cursors[0], 10)

    assert numbers(page) == [1, 2]
    assert [event.cursor for event in page.events] == cursors[1:]
    assert not page.has_gap
    assert reader.read(name, cursors[2], 10) == HistoryPage((), has_gap=False)
    first = number_of(cursors[0])
    assert first is not None
    assert [number_of(cursor) for cursor in cursors] == [first, first + 1, first + 2]


def test_a_name_nobody_sent_is_empty(reader: EventHistory, name: str) -> None:
    """And has no gap before its first event."""
    assert reader.latest(name) == CURSOR_START
    assert reader.read(name, CURSOR_START, 10) == HistoryPage((), has_gap=False)


def test_the_latest_cursor_is_that_of_the_last_event(
    history: EventHistory, reader: EventHistory, name: str
) -> None:
    """Of the name alone."""
    cursors = append(history, name, 2)
    append(history, f"{name}-other", 1)

    assert reader.latest(name) == cursors[-1]


def test_reading_from_the_start(history: EventHistory, reader: EventHistory, name: str) -> None:
    """Gives all, without a gap as long as nothing was dropped."""
    append(history, name, LENGTH)
    before = reader.read(name, CURSOR_START, 10)
    append(history, name, 1, first=LENGTH)
    after = reader.read(name, CURSOR_START, 10)

    assert (numbers(before), before.has_gap) == ([0, 1, 2, 3, 4], False)
    assert (numbers(after), after.has_gap) == ([1, 2, 3, 4, 5], True)


def test_only_the_last_events_are_kept(
    history: EventHistory, reader: EventHistory, name: str
) -> None:
    """Whether they come one by one or together; a cursor whose successor is gone has a gap."""
    cursors = append(history, name, 20)
    for number in range(20, 23):
        cursors += append(history, name, 1, first=number)

    page = reader.read(name, cursors[10], 10)

    assert numbers(page) == [18, 19, 20, 21, 22]
    assert page.has_gap
    assert not reader.read(name, cursors[18], 10).has_gap


def test_names_do_not_push_each_other_out(
    history: EventHistory, reader: EventHistory, name: str
) -> None:
    """Each has its own limit, also when they are recorded together."""
    events = [NewEvent(f"{name}-{number % 3}", b"%d" % number) for number in range(9)]

    cursors = history.append(events)

    for each in range(3):
        page = reader.read(f"{name}-{each}", CURSOR_START, 10)
        assert (numbers(page), page.has_gap) == ([each, each + 3, each + 6], False)
        assert [event.cursor for event in page.events] == cursors[each::3]


def test_a_page_has_a_limit(history: EventHistory, reader: EventHistory, name: str) -> None:
    """The oldest come first, so that the next page goes on."""
    append(history, name, LENGTH)

    first = reader.read(name, CURSOR_START, 2)
    second = reader.read(name, first.events[-1].cursor, 2)

    assert (numbers(first), numbers(second)) == ([0, 1], [2, 3])
    assert not second.has_gap


@pytest.mark.parametrize(
    "since",
    [
        *("", "garbage", "1", "1-1", "0-0", "-1", "1-", "é", "0x1", "x" * 999, "9" * 18, "9" * 19),
        *("9" * 18 + "-" + "9" * 18, "0-" + "9" * 18, "0-" + "9" * 19),
    ],
)
def test_a_cursor_that_was_never_given_is_a_gap(
    history: EventHistory, reader: EventHistory, name: str, since: str
) -> None:
    """And no error: the page begins with the oldest event. An empty name has one, too."""
    empty = reader.read(f"{name}-empty", since, 10)
    append(history, name, 2)
    page = reader.read(name, since, 10)

    assert empty == HistoryPage((), has_gap=True)
    assert (numbers(page), page.has_gap) == ([0, 1], True)


def test_a_marked_gap_is_told(history: EventHistory, reader: EventHistory, name: str) -> None:
    """To whoever reads over it, and to nobody behind it."""
    before = append(history, name, 1)[0]
    history.mark_gap([name, f"{name}-other"])
    behind = append(history, name, 1, first=1)[0]
    append(history, name, 1, first=2)

    over, after = reader.read(name, before, 10), reader.read(name, behind, 10)

    assert (numbers(over), over.has_gap) == ([1, 2], True)
    assert (numbers(after), after.has_gap) == ([2], False)
    other = reader.read(f"{name}-other", CURSOR_START, 10)
    assert (other.events, other.has_gap, other.end) == ((), True, reader.latest(f"{name}-other"))
    assert reader.read(f"{name}-other", other.end, 10) == HistoryPage((), has_gap=False)


def test_marks_do_not_shorten_a_page(
    history: EventHistory, reader: EventHistory, name: str
) -> None:
    """A short page is the last one, and it has all that is left."""
    start = append(history, name, 1)[0]
    for number in (1, 2):
        history.mark_gap([name])
        append(history, name, 1, first=number)

    page = reader.read(name, start, 2)

    assert (numbers(page), page.has_gap) == ([1, 2], True)


def test_many_names_at_once(history: EventHistory, reader: EventHistory, name: str) -> None:
    """More than fit into one statement: events of all, and marks."""
    names = [f"{name}-{number}" for number in range(250)]

    cursors = history.append([NewEvent(each, each.encode()) for each in [*names, *names]])
    history.mark_gap(names)

    for index in (0, 99, 100, 101, 249):
        page = reader.read(names[index], CURSOR_START, 9)
        assert [event.payload for event in page.events] == [names[index].encode()] * 2
        assert [event.cursor for event in page.events] == cursors[index::250]
        assert page.has_gap
        assert number_of(reader.latest(names[index])) == 3


def test_a_smaller_length_holds_from_the_next_event(
    settings: StoreSettings, reader: EventHistory, name: str
) -> None:
    """For the names that have one."""
    with closing(open_event_history(settings, length=20)) as long:
        append(long, name, 20)
    with closing(open_event_history(settings, length=2)) as short:
        append(short, name, 1, first=20)

    assert numbers(reader.read(name, CURSOR_START, 30)) == [19, 20]


def test_nothing_is_recorded_for_nothing(history: EventHistory) -> None:
    """No events have no cursors."""
    history.mark_gap([])

    assert history.append([]) == []


@pytest.mark.parametrize("odd", NAMES)
def test_names_are_any_text(
    history: EventHistory, reader: EventHistory, name: str, odd: str
) -> None:
    """And none is taken for another."""
    name = f"{name[-8:]}{odd}"[:128]
    append(history, name, 1)

    assert numbers(reader.read(name, CURSOR_START, 10)) == [0]
    assert reader.latest(f"{name} "[:128]) == CURSOR_START or name.endswith("xxx")


def test_payloads_are_any_bytes(history: EventHistory, reader: EventHistory, name: str) -> None:
    """Up to the longest an event may have."""
    payloads = [b"", b"\0\xff", b"x" * 512 * 1024]
    history.append([NewEvent(name, payload) for payload in payloads])

    assert [event.payload for event in reader.read(name, CURSOR_START, 9).events] == payloads


def follow(settings: StoreSettings, name: str, done: threading.Event) -> list[bytes]:
    """Read on by the cursor until nothing more can come, and return what there was."""
    seen: list[bytes] = []
    cursor = CURSOR_START
    with closing(open_event_history(settings, length=0)) as history:
        is_last = False
        while not is_last:
            is_last = done.wait(0.005)
            while (page := history.read(name, cursor, 50)).events:
                assert not page.has_gap
                seen += [event.payload for event in page.events]
                cursor = page.events[-1].cursor
    return seen


def assert_complete(seen: list[bytes], writers: int, count: int) -> None:
    assert len(seen) == writers * count
    for writer in range(writers):
        own = [payload for payload in seen if payload.startswith(b"%d." % writer)]
        assert own == [b"%d.%d" % (writer, number) for number in range(count)]


def test_nobody_sees_an_event_before_those_below_it(settings: StoreSettings, name: str) -> None:
    """Eight writers, and a reader who follows by its cursor: he misses nothing, has no gap, and
    sees what each has written in its order."""
    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(follow, settings, name, done)
        try:
            at_once(partial(append_many, settings, [name], 20, 2))
        finally:
            done.set()

        assert_complete(reading.result(30), writers=8, count=20)


def test_processes_that_write_the_same_names(
    settings: StoreSettings, name: str, tmp_path: Path
) -> None:
    """In different orders of the names: nothing is lost, numbered twice or out of order."""
    names, done = [f"{name}-{number}" for number in range(3)], threading.Event()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(follow, settings, names[0], done)
        try:
            written = in_processes(3, tmp_path, partial(append_many, settings, names, 20, 5))
        finally:
            done.set()
        assert_complete(reading.result(30), writers=3, count=20)

    with closing(open_event_history(settings, length=0)) as history:
        for each in names:
            cursors = [cursor for of_names in written for cursor in of_names[each]]
            page = history.read(each, CURSOR_START, 100)
            in_order = sorted(cursors, key=lambda cursor: order_of(cursor) or (0, 0))
            assert in_order == [event.cursor for event in page.events]
            assert [number_of(cursor) for cursor in in_order] == [*range(1, 61)]
            assert_complete([event.payload for event in page.events], writers=3, count=20)


@pytest.mark.parametrize(
    "away",
    [
        {"database": "redis", "db_port": 1},
        {"database": "postgres", "db_port": 1},
        {"database": "mysql", "db_port": 1},
        {"database": "sqlite", "sqlite_path": Path("/nowhere/at/all.db")},
    ],
)
def test_a_store_that_is_away_is_unavailable(away: dict[str, object]) -> None:
    """Every method says so, and nothing hangs."""
    port = {"db_port": free_port()} if "db_port" in away else {}
    settings = StoreSettings(**{"db_host": "127.0.0.1", **away, **port})  # type: ignore[arg-type]
    with closing(open_event_history(settings, length=LENGTH)) as history:
        for call in (
            lambda: history.append([NewEvent("e", b"")]),
            lambda: history.mark_gap(["e"]),
            lambda: history.read("e", CURSOR_START, 1),
            lambda: history.latest("e"),
        ):
            with pytest.raises(StoreUnavailable):
                call()


@pytest.mark.parametrize("database", ["none", "mongodb"])
def test_without_a_store_there_is_no_history(database: str) -> None:
    """Told before anything starts, with what would help."""
    with pytest.raises(SettingsError, match="event_history needs redis_url, or a database of"):
        check_event_history(StoreSettings(database=database))
