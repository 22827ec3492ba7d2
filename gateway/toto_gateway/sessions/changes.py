"""Saving what the members of a batch did to one session."""

from collections.abc import Sequence
from dataclasses import replace

from toto._core.stores.record import SessionRecord
from toto._core.stores.store import StoreUnavailable
from toto.dbconnection import DBConnection
from toto.session import apply_changes

__all__ = ["save_changes"]

TRIES_MAX = 5
"""Others save the same session at the same time; five times in a row is not to be expected."""


def save_changes(
    connection: DBConnection, session_id: str, changes: Sequence[bytes], expires: float
) -> SessionRecord | None:
    """Apply changes to a session as it is now, whatever others have saved since the batch began.

    Blocks; it also deserialises the session's variables, which may take as long.

    Args:
        connection: sessions.
        session_id: the session.
        changes: of each member, in order, as ``TotoSession.changes`` returned them.
        expires: the latest expiry that a member's renewal gave.

    Returns:
        The record as it was saved, under an id that may be new; None when the session has ended.

    Raises:
        TotoException: the variables cannot be read, or became too large (1000).
        StoreUnavailable: the store is away.
    """
    for _ in range(TRIES_MAX):
        latest = connection.load_record(session_id)
        if latest is None:
            return None
        state = apply_changes(latest.state, changes) if changes else latest.state
        record = replace(latest, state=state, expires=max(latest.expires, expires))
        saved_id = connection.update_record(record, replaces=latest)
        if saved_id is not None:
            return replace(record, session_id=saved_id)
    raise StoreUnavailable
