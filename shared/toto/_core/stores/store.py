"""What every database can do for accounts, sessions and counters. The rest knows no more than this.

All methods block and may be called by any thread. All raise ``StoreUnavailable`` when the database
cannot be reached or does not answer in time, and keep working once it is back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from toto._core.stores.record import SessionRecord
from toto.exceptions import ERROR_UNAVAILABLE, TotoException

__all__ = [
    "RESERVED_PROPERTIES",
    "AccountStore",
    "CounterStore",
    "Credentials",
    "Database",
    "SessionStore",
    "StoreUnavailable",
]

RESERVED_PROPERTIES = frozenset({"user_id", "password", "generation", "created"})
"""Fields of an account that are not properties: ``AccountStore.update`` refuses them."""


class StoreUnavailable(TotoException):
    """The database is away, or too slow."""

    def __init__(self) -> None:
        super().__init__(ERROR_UNAVAILABLE, "The session store is not available.")


class Credentials(NamedTuple):
    """What a login is checked against."""

    password_hash: str
    generation: int
    """How often all of the user's sessions have been ended."""


class SessionStore(Protocol):
    """Keeps sessions. An expired session is as good as none."""

    def load(self, session_ids: Sequence[str]) -> list[SessionRecord | None]:
        """Return the live session of each id, or None; any text is a possible id."""

    def create(self, record: SessionRecord) -> str:
        """Keep a new session; return its id, which the store may choose itself."""

    def update(self, record: SessionRecord, *, replaces: SessionRecord | None = None) -> str | None:
        """Replace a session's record; return its id, which may be new.

        With ``replaces`` only if that is the present record, in one step with the comparison: of
        two who read the same record and write, one does not undo what the other wrote.

        None when nothing was written, because the session has ended meanwhile (an update never
        brings one back) or is another than ``replaces``.
        """

    def remove(self, session_id: str) -> None:
        """End a session; one that does not exist is no error."""

    def remove_user(self, user_id: str) -> None:
        """End all sessions of a user."""


class AccountStore(Protocol):
    """Keeps accounts. User ids arrive normalised."""

    def create(self, user_id: str, password_hash: str, properties: Mapping[str, Any]) -> bool:
        """Create an account; False when the id is taken. Of two at once one wins."""

    def credentials(self, user_id: str) -> Credentials | None:
        """Return what a login is checked against, or None for an unknown user."""

    def set_password(self, user_id: str, password_hash: str, *, replaces: str | None) -> bool:
        """Set the password hash; with ``replaces`` only if that is the present one.

        Does not end sessions. False when nothing was changed.
        """

    def end_sessions(self, user_id: str) -> None:
        """Raise the generation by one, which ends every client token of the user."""

    def load(self, user_id: str, names: Sequence[str]) -> dict[str, Any] | None:
        """Return the named properties, those that are missing left out; None without an account.

        ``user_id`` may be asked for; the other reserved names are never returned.
        """

    def update(self, user_id: str, properties: Mapping[str, Any]) -> bool:
        """Set properties; values are what msgpack can carry. False for an unknown user.

        Raises:
            ValueError: for a reserved name, or a value that cannot be stored; nothing is changed.
        """


class CounterStore(Protocol):
    """Counts events under a key for a while: logins, used nonces, ended tokens."""

    def hit(self, key: str, ttl_seconds: float) -> int:
        """Count one and return the sum; the first one starts the key's time. Atomic."""

    def counts(self, keys: Sequence[str]) -> list[int]:
        """Return the present sums, 0 for a key that is unknown or over."""

    def clear(self, key: str) -> None:
        """Forget a key."""


@dataclass(frozen=True, slots=True)
class Database:
    """One database with all it keeps. Making one connects to nothing; the first use does."""

    accounts: AccountStore
    sessions: SessionStore
    counters: CounterStore
    handle: Any
    """The driver's own object, which methods see as ``handler.db``."""
    is_remote: bool
    """Whether calls may hang on a network, and so need a time limit."""
    close: Callable[[], None]
    """Ends all connections; a second time does nothing."""
