"""Sessions in a SQL table."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from toto._core.stores.record import SessionRecord, session_digest, unpack
from toto._core.stores.record_bytes import canonical_bytes
from toto._core.stores.sql_connector import SqlConnector
from toto._core.stores.sql_lookup import DigestLookup, ExpirySweep
from toto._core.stores.sql_tables import is_user_id
from toto._core.stores.sql_upsert import upsert

__all__ = ["SqlSessions"]

_log = logging.getLogger("toto.store")


class SqlSessions:
    """A ``SessionStore``.

    Args:
        connector: the way to the database.
        table: the table of sessions.
        clock: seconds since the epoch.
    """

    def __init__(
        self, connector: SqlConnector, table: sa.Table, clock: Callable[[], float]
    ) -> None:
        self._connector = connector
        self._table = table
        self._clock = clock
        self._lookup = DigestLookup(connector, table.c.digest, table.c.record)
        self._sweep = ExpirySweep(connector, table, clock)

    def load(self, session_ids: Sequence[str]) -> list[SessionRecord | None]:
        """Return the live session of each id, or None."""
        digests = [session_digest(session_id) for session_id in session_ids]
        rows = self._lookup.rows(digests)
        now = self._clock()
        return [
            _live(rows[digest][0], session_id, now) if digest in rows else None
            for session_id, digest in zip(session_ids, digests, strict=True)
        ]

    def create(self, record: SessionRecord) -> str:
        """Keep a new session.

        Raises:
            ValueError: the user id has over 256 bytes or cannot be stored.
        """
        row = _row(record)
        changed = {name: row[name] for name in ("user_id", "expires", "record")}
        statement = upsert(self._connector.dialect, self._table, row, list(changed.items()))
        self._connector.execute(lambda connection: connection.execute(statement).close())
        self._sweep.run_if_due()
        return record.session_id

    def update(self, record: SessionRecord, *, replaces: SessionRecord | None = None) -> str | None:
        """Replace a session's record, if it has not ended and is still the one it replaces.

        Raises:
            ValueError: the user id has over 256 bytes or cannot be stored.
        """
        columns = self._table.c
        row = _row(record)
        statement = (
            self._table.update()
            .where(columns.digest == row.pop("digest"))
            .where(columns.expires > self._clock())
            .values(row)
        )
        run = self._connector.execute
        if replaces is not None:
            statement = statement.where(columns.record == canonical_bytes(replaces))
            # Done a second time it would find what it wrote itself, and take it for another's.
            run = self._connector.transact
        count = run(lambda connection: connection.execute(statement).rowcount)
        return record.session_id if count else None

    def remove(self, session_id: str) -> None:
        """End a session."""
        self._delete(self._table.c.digest == session_digest(session_id))

    def remove_user(self, user_id: str) -> None:
        """End all sessions of a user."""
        if is_user_id(user_id):
            self._delete(self._table.c.user_id == user_id)

    def _delete(self, which: sa.ColumnElement[bool]) -> None:
        statement = self._table.delete().where(which)
        self._connector.execute(lambda connection: connection.execute(statement).close())


def _row(record: SessionRecord) -> dict[str, Any]:
    if record.user_id is not None and not is_user_id(record.user_id):
        raise ValueError("not a user id")
    return {
        "digest": session_digest(record.session_id),
        "user_id": record.user_id,
        "expires": record.expires,
        "record": canonical_bytes(record),
    }


def _live(packed: Any, session_id: str, now: float) -> SessionRecord | None:
    try:
        record = unpack(bytes(packed), session_id)
    except (ValueError, TypeError) as error:
        _log.error("A stored session cannot be read: %s", error)
        return None
    return record if record.expires > now else None
