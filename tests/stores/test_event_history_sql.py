"""What is special about the history of events in SQL: what is left in the tables, and outages."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from toto._core.event_history import CURSOR_START, EventHistory, HistoryPage, NewEvent, number_of
from toto._core.stores import event_history_sql as sql
from toto._core.stores.event_history_tables import define_event_tables
from toto._core.stores.open_event_history import KEEP_SECONDS, open_event_history
from toto._core.stores.settings import StoreSettings
from toto._core.stores.sql_engine import make_handle, sql_address
from toto._core.stores.store import StoreUnavailable
from toto_testkit.stores import SQL_STORE_NAMES, TIMEOUT_SECONDS, store_settings
from toto_testkit.tcp_relay import TcpRelay

LENGTH = 5
SHORT_SECONDS = 0.4
LATE_SECONDS = 1.5
"""What a call that has to end after 0.4 s may take on a busy machine."""


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Opened:
    """A history on a clock of its own, and a look behind it."""

    def __init__(self, settings: StoreSettings, length: int = LENGTH) -> None:
        self.clock = Clock()
        self.history = open_event_history(settings, length=length, clock=self.clock)
        self.tables = define_event_tables(settings.table_prefix)
        self.engine = make_handle(sql_address(settings))

    def append(self, name: str, *payloads: bytes) -> list[str]:
        return self.history.append([NewEvent(name, payload) for payload in payloads])

    def rows(self) -> tuple[int, int]:
        """Return how many names and how many entries there are."""
        with self.engine.connect() as connection:
            names, events = (
                connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                for table in (self.tables.names, self.tables.events)
            )
        return names, events

    def execute(self, statement: sa.Executable) -> None:
        with self.engine.begin() as connection:
            connection.execute(statement)

    def close(self) -> None:
        self.history.close()
        self.engine.dispose()


@pytest.fixture(params=SQL_STORE_NAMES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreSettings]:
    """Give the settings of an empty database of each kind."""
    with store_settings(request.param, tmp_path) as made:
        yield replace(made, store_timeout=TIMEOUT_SECONDS)


@pytest.fixture
def opened(settings: StoreSettings) -> Iterator[Opened]:
    """A history that keeps five events."""
    with closing(Opened(settings)) as opened:
        yield opened


def payloads(page: HistoryPage) -> list[bytes]:
    return [event.payload for event in page.events]


def test_no_more_is_kept_than_the_length(opened: Opened) -> None:
    """Whether events come one by one or together; marks count."""
    opened.append("a", *[b"%d" % number for number in range(12)])
    for number in range(12):
        opened.append("b", b"%d" % number)
    opened.history.mark_gap(["a"])

    assert opened.rows() == (2, 2 * LENGTH)


def test_names_are_forgotten_a_day_after_their_last_event(opened: Opened) -> None:
    """An old cursor is a gap then, also when the name begins anew; the start is none."""
    old = opened.append("old", b"1", b"2")
    opened.append("young", b"1")
    opened.clock.now += KEEP_SECONDS - 1
    opened.append("young", b"2")
    assert opened.rows() == (2, 4)
    opened.clock.now += sql.SWEEP_SECONDS
    opened.append("young", b"3")

    assert opened.rows() == (1, 3)
    assert opened.history.latest("old") == CURSOR_START
    assert opened.history.read("old", old[0], 9) == HistoryPage((), has_gap=True)

    new = opened.append("old", b"3", b"4")
    assert [number_of(cursor) for cursor in new] == [1, 2]
    for since in old:
        page = opened.history.read("old", since, 9)
        assert (payloads(page), page.has_gap) == ([b"3", b"4"], True)
    assert not opened.history.read("old", CURSOR_START, 9).has_gap


def test_much_is_forgotten_little_by_little(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits long for it, and a name that is written meanwhile goes on."""
    monkeypatch.setattr(sql, "_SWEEP_ROWS", 4)
    monkeypatch.setattr(sql, "_SWEEP_NAMES", 3)
    for number in range(5):
        opened.append(f"old-{number}", *[b"x"] * 5)
    opened.append("other", b"1")
    opened.clock.now += KEEP_SECONDS + 1
    counts = []
    for _ in range(12):
        opened.append("other", b"2")
        counts.append(opened.rows()[0])
        opened.clock.now += 2

    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) > 3
    assert opened.rows() == (1, LENGTH)
    assert number_of(opened.history.latest("other")) == 13


def test_a_name_that_is_half_forgotten_goes_on(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its numbers go on, so that nothing is mixed up, and the start is a gap."""
    monkeypatch.setattr(sql, "_SWEEP_ROWS", 2)
    cursors = opened.append("old", *[b"%d" % number for number in range(5)])
    opened.clock.now += KEEP_SECONDS + 1
    opened.append("other", b"x")
    assert opened.rows() == (2, 4)
    opened.append("old", b"5")

    page = opened.history.read("old", CURSOR_START, 9)
    assert (payloads(page), page.has_gap) == ([b"2", b"3", b"4", b"5"], True)
    assert payloads(opened.history.read("old", cursors[3], 9)) == [b"4", b"5"]


def test_much_that_is_too_old_goes_little_by_little(
    settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a smaller length than before; what is read meanwhile has no holes."""
    monkeypatch.setattr(sql, "_SWEEP_ROWS", 10)
    with closing(Opened(settings, length=100)) as long, closing(Opened(settings, 2)) as short:
        long.append("e", *[b"%d" % number for number in range(100)])
        counts = []
        for number in range(12):
            short.append("e", b"%d" % (100 + number))
            counts.append(short.rows()[1])

        assert counts == [90, 80, 70, 60, 50, 40, 30, 20, 10, 2, 2, 2]


def test_a_database_that_was_set_back_fits_no_lost_cursor(opened: Opened) -> None:
    """As after a power failure, or from a backup: the numbers are given again, and those who know
    them are told."""
    cursors = opened.append("e", b"1", b"2", b"3")
    events, names = opened.tables.events, opened.tables.names
    opened.execute(events.delete().where(events.c.number > 1))
    opened.execute(names.update().values(last=1))
    opened.clock.now += 0.01
    again = opened.append("e", b"4", b"5", b"6")

    assert [number_of(cursor) for cursor in again] == [2, 3, 4]
    for lost in cursors[1:]:
        page = opened.history.read("e", lost, 9)
        assert (payloads(page), page.has_gap) == ([b"1", b"4", b"5", b"6"], True)


def test_the_place_of_an_event_never_runs_backwards(opened: Opened) -> None:
    """Though clocks may, and those of two gateways differ."""
    first = opened.append("e", b"1")[0]
    opened.clock.now -= 3600
    second = opened.append("e", b"2")[0]

    assert second == first.replace("-1", "-2")


@pytest.fixture(params=["postgres", "mysql"])
def relayed(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[TcpRelay, EventHistory]]:
    """A history behind a relay, warmed up, with the time limit of the defaults."""
    with store_settings(request.param, tmp_path) as direct, TcpRelay(direct.db_port) as relay:
        settings = replace(direct, db_port=relay.port, store_timeout=SHORT_SECONDS)
        with closing(open_event_history(direct, length=LENGTH)) as first:
            first.append([NewEvent("e", b"0")])  # makes the tables, which may take its time
        with closing(open_event_history(settings, length=LENGTH)) as history:
            history.latest("e")
            yield relay, history


def seconds_until_unavailable(call: Callable[[], object]) -> float:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        call()
    return time.monotonic() - began


def calls(history: EventHistory) -> list[Callable[[], object]]:
    return [
        lambda: history.append([NewEvent("e", b"1")]),
        lambda: history.mark_gap(["f"]),
        lambda: history.read("e", CURSOR_START, 9),
        lambda: history.latest("e"),
    ]


def test_a_silent_server_is_unavailable_in_time(relayed: tuple[TcpRelay, EventHistory]) -> None:
    """Once it answers, the next call works."""
    relay, history = relayed
    for call in calls(history):
        history.latest("warm up")
        relay.hold()
        assert seconds_until_unavailable(call) < LATE_SECONDS
        relay.let_go()
    history.append([NewEvent("e", b"2")])

    assert payloads(history.read("e", CURSOR_START, 9))[-1] == b"2"


def test_a_restart_is_not_noticed(relayed: tuple[TcpRelay, EventHistory]) -> None:
    """A connection that was lost while nobody used it is replaced, and nothing written twice."""
    relay, history = relayed
    for number in range(1, 4):
        relay.cut()
        history.append([NewEvent("e", b"%d" % number)])

    assert payloads(history.read("e", CURSOR_START, 9)) == [b"0", b"1", b"2", b"3"]


def test_a_lost_commit_is_not_repeated(relayed: tuple[TcpRelay, EventHistory]) -> None:
    """The event is not known to be recorded, but it is not there twice."""
    relay, history = relayed
    relay.lose_answer_to(b"COMMIT")
    with pytest.raises(StoreUnavailable):
        history.append([NewEvent("e", b"1")])
    history.append([NewEvent("e", b"2")])

    assert payloads(history.read("e", CURSOR_START, 9)) == [b"0", b"1", b"2"]


def test_a_file_that_another_program_keeps(tmp_path: Path) -> None:
    """Writing is unavailable after ``store_timeout``; reading is not."""
    path = tmp_path / "toto.db"
    settings = StoreSettings(sqlite_path=path, store_timeout=SHORT_SECONDS)
    with closing(open_event_history(settings, length=LENGTH)) as history:
        history.append([NewEvent("e", b"1")])
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waited = seconds_until_unavailable(partial(history.append, [NewEvent("e", b"2")]))
            assert payloads(history.read("e", CURSOR_START, 9)) == [b"1"]
            other.execute("ROLLBACK")
        history.append([NewEvent("e", b"3")])

        assert SHORT_SECONDS <= waited < LATE_SECONDS
        assert payloads(history.read("e", CURSOR_START, 9)) == [b"1", b"3"]
