"""Counters in a SQL table."""

import hashlib
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from toto._core.stores.sql_connector import SqlConnector
from toto._core.stores.sql_lookup import DigestLookup, ExpirySweep
from toto._core.stores.sql_upsert import upsert

__all__ = ["SqlCounters"]


class SqlCounters:
    """A ``CounterStore``.

    Args:
        connector: the way to the database.
        table: the table of counters.
        clock: seconds since the epoch.
    """

    def __init__(
        self, connector: SqlConnector, table: sa.Table, clock: Callable[[], float]
    ) -> None:
        self._connector = connector
        self._table = table
        self._clock = clock
        self._lookup = DigestLookup(connector, table.c.digest, table.c.hits, table.c.expires)
        self._sweep = ExpirySweep(connector, table, clock)

    def hit(self, key: str, ttl_seconds: float) -> int:
        """Count one and return the sum."""
        columns = self._table.c
        now = self._clock()
        row = {"digest": _digest(key), "hits": 1, "expires": now + ttl_seconds}
        is_over = columns.expires <= now
        changed = [
            ("hits", sa.case((is_over, 1), else_=columns.hits + 1)),
            ("expires", sa.case((is_over, row["expires"]), else_=columns.expires)),
        ]
        count = upsert(self._connector.dialect, self._table, row, changed)
        read = sa.select(columns.hits).where(columns.digest == row["digest"])

        def work(connection: sa.Connection) -> int:
            connection.execute(count).close()
            return int(connection.execute(read).scalar_one())

        hits = self._connector.transact(work)
        self._sweep.run_if_due()
        return hits

    def counts(self, keys: Sequence[str]) -> list[int]:
        """Return the present sums."""
        digests = [_digest(key) for key in keys]
        rows = self._lookup.rows(digests)
        now = self._clock()
        live = {digest: hits for digest, (hits, expires) in rows.items() if expires > now}
        return [live.get(digest, 0) for digest in digests]

    def clear(self, key: str) -> None:
        """Forget a key."""
        statement = self._table.delete().where(self._table.c.digest == _digest(key))
        self._connector.execute(lambda connection: connection.execute(statement).close())


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
