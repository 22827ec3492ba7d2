"""Finds and forgets rows whose key is a digest: what sessions and counters have in common."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from toto._core.stores.sql_connector import SqlConnector
from toto._core.stores.store import StoreUnavailable

__all__ = ["DigestLookup", "ExpirySweep"]

_DIGESTS_PER_SELECT = 256
_SWEEP_SECONDS = 60.0
_SWEEP_ROWS = 1000


class DigestLookup:
    """Rows of one table by their digests.

    The SELECT is written by SQLAlchemy, once for every power of two, and then handed to the driver.

    Args:
        connector: the way to the database.
        columns: what to return; the first is the digest.
    """

    def __init__(self, connector: SqlConnector, *columns: sa.Column[Any]) -> None:
        self._connector = connector
        self._columns = columns
        self._statement = lru_cache(maxsize=None)(self._write_statement)

    def rows(self, digests: Sequence[bytes]) -> dict[bytes, tuple[Any, ...]]:
        """Return the rows that exist, by digest, without the digest itself.

        Raises:
            StoreUnavailable: the database is away.
        """
        found: dict[bytes, tuple[Any, ...]] = {}
        if self._connector.schema.is_absent():
            return found
        wanted = list(dict.fromkeys(digests))
        for start in range(0, len(wanted), _DIGESTS_PER_SELECT):
            part = wanted[start : start + _DIGESTS_PER_SELECT]
            size = 1 << (len(part) - 1).bit_length()
            part += part[-1:] * (size - len(part))
            for digest, *rest in self._connector.fetch(self._statement(size), part):
                found[bytes(digest)] = tuple(rest)
        return found

    def _write_statement(self, size: int) -> str:
        key = self._columns[0]
        digests = [sa.bindparam(f"digest_{index}", type_=key.type) for index in range(size)]
        statement = sa.select(*self._columns).where(key.in_(digests))
        return str(statement.compile(dialect=self._connector.dialect))


class ExpirySweep:
    """Deletes expired rows now and then: 1000 at most, once a minute in each process.

    Args:
        connector: the way to the database.
        table: has the columns ``digest`` and ``expires``.
        clock: seconds since the epoch.
    """

    def __init__(
        self, connector: SqlConnector, table: sa.Table, clock: Callable[[], float]
    ) -> None:
        self._connector = connector
        self._table = table
        self._clock = clock
        self._due = 0.0

    def run_if_due(self) -> None:
        """Sweep, unless it was done lately; an outage only puts it off."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + _SWEEP_SECONDS
        # What it follows has been done, and the connector has logged the outage.
        with suppress(StoreUnavailable):
            self._connector.execute(lambda connection: self._sweep(connection, now))

    def _sweep(self, connection: sa.Connection, now: float) -> None:
        key, expires = self._table.c.digest, self._table.c.expires
        expired = sa.select(key).where(expires <= now).limit(_SWEEP_ROWS)
        # In one order for all processes, so that they do not wait for each other in a circle.
        digests = sorted(connection.execute(expired).scalars())
        if digests:
            connection.execute(self._table.delete().where(key.in_(digests)).where(expires <= now))
