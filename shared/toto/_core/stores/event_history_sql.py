"""The last events of every name in a SQL database."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa

from toto._core.event_history import CURSOR_START, HistoryPage, NewEvent
from toto._core.stores.event_history_page import Entry, Place, read_page
from toto._core.stores.event_history_tables import EventTables, count_up
from toto._core.stores.sql_connector import SqlConnector
from toto._core.stores.store import StoreUnavailable

__all__ = ["SqlEventHistory"]

SWEEP_SECONDS = 60.0
_SWEEP_ON_SECONDS = 1.0
"""After a sweep that has left something."""
_SWEEP_NAMES = 500
_SWEEP_ROWS = 2_000
"""Removed at a time: events wait for it."""
_NAMES = 100
"""Of one statement."""


class _Reach(NamedTuple):
    """How far a name has come."""

    place: Place
    oldest: int | None
    """Number of the oldest entry; None when there is none."""


class SqlEventHistory:
    """An ``EventHistory``. Whoever adds to a name holds its row until the end of the transaction:
    nobody sees an entry before those below it.

    Args:
        connector: the way to the database.
        tables: the tables.
        length: events kept of each name.
        keep_seconds: how long a name is kept after its last event.
        close: ends the connections.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        connector: SqlConnector,
        tables: EventTables,
        *,
        length: int,
        keep_seconds: float,
        close: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._connector = connector
        self._tables = tables
        self._length = length
        self._keep_seconds = keep_seconds
        self._close = close
        self._clock = clock
        self._sweep_at = 0.0

    def append(self, events: Sequence[NewEvent]) -> list[str]:
        """Record events in this order, in one transaction, and return the cursor of each."""
        return self._add([(event.name, event.payload) for event in events])

    def mark_gap(self, names: Sequence[str]) -> None:
        """Record that events of these names were lost."""
        self._add([(name, None) for name in names])

    def read(self, name: str, since: str, count_max: int) -> HistoryPage:
        """Return the events of a name behind a cursor; ``read_page`` tells what is a gap."""
        digest, events = _digest(name), self._tables.events.c

        def fetch(place: Place, count: int) -> list[Entry]:
            statement = (
                sa.select(events.milliseconds, events.number, events.payload)
                .where(events.digest == digest)
                .where(events.number >= place.number)
                .order_by(events.number)
                .limit(count)
            )
            rows = self._connector.execute(lambda connection: connection.execute(statement).all())
            return [
                Entry(Place(at, number), None if payload is None else bytes(payload))
                for at, number, payload in rows
            ]

        return read_page(fetch, since, count_max)

    def latest(self, name: str) -> str:
        """Return the cursor of the last event of a name."""
        names = self._tables.names.c
        statement = sa.select(names.milliseconds, names.last).where(names.digest == _digest(name))
        row = self._connector.execute(lambda connection: connection.execute(statement).first())
        return CURSOR_START if row is None else Place(*row).cursor

    def close(self) -> None:
        """End all connections."""
        self._close()

    def _add(self, entries: Sequence[tuple[str, bytes | None]]) -> list[str]:
        if not entries:
            return []
        keyed = [(_digest(name), payload) for name, payload in entries]
        counts = Counter(digest for digest, _ in keyed)
        work = partial(self._write, entries=keyed, counts=counts)
        cursors = self._connector.transact(work)
        self._sweep_if_due()
        return cursors

    def _write(
        self,
        connection: sa.Connection,
        entries: Sequence[tuple[bytes, bytes | None]],
        counts: Mapping[bytes, int],
    ) -> list[str]:
        reaches: dict[bytes, _Reach] = {}
        # In one order for all processes, so that they do not wait for each other in a circle.
        for digests in _parts(sorted(counts)):
            reaches |= self._reserve(connection, {digest: counts[digest] for digest in digests})
        numbers = {digest: reaches[digest].place.number - counts[digest] for digest in counts}
        rows, cursors = [], []
        for digest, payload in entries:
            numbers[digest] += 1
            at, number = reaches[digest].place.milliseconds, numbers[digest]
            row = {"digest": digest, "number": number, "milliseconds": at, "payload": payload}
            rows.append(row)
            cursors.append(Place(at, number).cursor)
        connection.execute(self._tables.events.insert(), rows).close()
        self._prune(connection, reaches, counts)
        return cursors

    def _reserve(
        self, connection: sa.Connection, counts: Mapping[bytes, int]
    ) -> dict[bytes, _Reach]:
        """Move names on by so many entries, and return how far they have come."""
        names, now = self._tables.names.c, self._clock()
        shared = {"milliseconds": int(now * 1000), "expires": now + self._keep_seconds}
        rows = [{"digest": digest, "last": count, **shared} for digest, count in counts.items()]
        connection.execute(count_up(self._connector.dialect, self._tables.names, rows)).close()
        reach = sa.select(names.digest, names.milliseconds, names.last, self._oldest())
        found = connection.execute(reach.where(names.digest.in_(counts)))
        return {
            bytes(digest): _Reach(Place(at, last), oldest) for digest, at, last, oldest in found
        }

    def _prune(
        self,
        connection: sa.Connection,
        reaches: Mapping[bytes, _Reach],
        counts: Mapping[bytes, int],
    ) -> None:
        events = self._tables.events.c
        over = []
        for digest, (place, oldest) in reaches.items():
            kept_from = place.number - self._length + 1
            if oldest is not None and oldest < kept_from:
                # With a smaller length than before the rest goes little by little.
                kept_from = min(kept_from, oldest + counts[digest] + _SWEEP_ROWS)
                over.append(sa.and_(events.digest == digest, events.number < kept_from))
        for part in _parts(over):
            connection.execute(self._tables.events.delete().where(sa.or_(*part))).close()

    def _sweep_if_due(self) -> None:
        now = self._clock()
        if now < self._sweep_at:
            return
        self._sweep_at = now + SWEEP_SECONDS
        with suppress(StoreUnavailable):  # what it follows has been done
            if not self._connector.transact(lambda connection: self._sweep(connection, now)):
                self._sweep_at = now + _SWEEP_ON_SECONDS

    def _sweep(self, connection: sa.Connection, now: float) -> bool:
        """Forget names without an event for so long; False when some are left."""
        names, events = self._tables.names, self._tables.events
        over = (
            sa.select(names.c.digest, names.c.last, self._oldest())
            .where(names.c.expires <= now)
            .order_by(names.c.digest)
            .limit(_SWEEP_NAMES)
            .with_for_update()
        )
        found = connection.execute(over).all()
        forgotten, rows_left = [], _SWEEP_ROWS
        for digest, last, oldest in found:
            rows = 0 if oldest is None else last - oldest + 1
            if rows > rows_left:
                part = sa.and_(events.c.digest == digest, events.c.number < oldest + rows_left)
                connection.execute(events.delete().where(part)).close()
                break
            forgotten.append(digest)
            rows_left -= rows
        for digests in _parts(forgotten):
            for table in (events, names):
                connection.execute(table.delete().where(table.c.digest.in_(digests))).close()
        return len(forgotten) == len(found) < _SWEEP_NAMES

    def _oldest(self) -> sa.ScalarSelect[Any]:
        """Return the SELECT of the number of a name's oldest entry."""
        events = self._tables.events.c
        oldest = sa.select(sa.func.min(events.number))
        return oldest.where(events.digest == self._tables.names.c.digest).scalar_subquery()


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + _NAMES] for start in range(0, len(items), _NAMES))


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
