"""The option ``database = none``: no accounts; sessions only if ``session_cache`` keeps them."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from toto._core.stores.memory_counters import MemoryCounters
from toto._core.stores.record import SessionRecord
from toto._core.stores.store import Credentials, Database
from toto.exceptions import ERROR_SERVER, TotoException

__all__ = ["NoAccounts", "NoSessions", "open_no_database"]


class NoAccounts:
    """An ``AccountStore`` that knows nobody and takes nobody in."""

    def create(self, user_id: str, password_hash: str, properties: Mapping[str, Any]) -> bool:
        """Refuse."""
        _refuse("accounts")

    def credentials(self, user_id: str) -> Credentials | None:
        """Nobody is known."""
        return None

    def set_password(self, user_id: str, password_hash: str, *, replaces: str | None) -> bool:
        """Nobody is known."""
        return False

    def end_sessions(self, user_id: str) -> None:
        """Nobody has any."""

    def load(self, user_id: str, names: Sequence[str]) -> dict[str, Any] | None:
        """Nobody is known."""
        return None

    def update(self, user_id: str, properties: Mapping[str, Any]) -> bool:
        """Nobody is known."""
        return False


class NoSessions:
    """A ``SessionStore`` that keeps none."""

    def load(self, session_ids: Sequence[str]) -> list[SessionRecord | None]:
        """There is none."""
        return [None] * len(session_ids)

    def create(self, record: SessionRecord) -> str:
        """Refuse."""
        _refuse("sessions")

    def update(self, record: SessionRecord, *, replaces: SessionRecord | None = None) -> str | None:
        """There is none."""
        return None

    def remove(self, session_id: str) -> None:
        """There is none."""

    def remove_user(self, user_id: str) -> None:
        """There is none."""


def open_no_database() -> Database:
    """Return the database of ``database = none``."""
    return Database(
        accounts=NoAccounts(),
        sessions=NoSessions(),
        counters=MemoryCounters(),
        handle=None,
        is_remote=False,
        close=lambda: None,
    )


def _refuse(what: str) -> NoReturn:
    raise TotoException(ERROR_SERVER, f"No database for {what} is configured (option database).")
