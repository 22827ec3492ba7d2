"""A database in the memory of one process, for tests of methods: nothing is left behind."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toto._core.stores.memory_counters import MemoryCounters
from toto._core.stores.property_values import pack_property, unpack_property_into
from toto._core.stores.record import SessionRecord, pack, session_digest, unpack
from toto._core.stores.store import CounterStore, Credentials, Database

__all__ = [
    "MemoryAccount",
    "MemoryAccounts",
    "MemorySessions",
    "MemoryTables",
    "open_memory_database",
]


@dataclass(slots=True)
class MemoryAccount:
    """One account; properties are packed, so that nobody changes them from outside."""

    password_hash: str
    generation: int
    properties: dict[str, bytes]


@dataclass
class MemoryTables:
    """What the stores of one database share.

    Args:
        clock: seconds since the epoch.
    """

    clock: Callable[[], float] = time.time
    lock: threading.RLock = field(default_factory=threading.RLock)
    accounts: dict[str, MemoryAccount] = field(default_factory=dict)
    sessions: dict[bytes, bytes] = field(default_factory=dict)
    owners: dict[bytes, str | None] = field(default_factory=dict)

    def begin(self, operation: str) -> None:
        """Be told of an operation before it is done; here nothing comes of it."""


class MemorySessions:
    """A ``SessionStore``."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def load(self, session_ids: Sequence[str]) -> list[SessionRecord | None]:
        """Return the live session of each id, or None."""
        self._tables.begin("sessions.load")
        with self._tables.lock:
            return [self._load(session_id) for session_id in session_ids]

    def create(self, record: SessionRecord) -> str:
        """Keep a new session."""
        self._tables.begin("sessions.create")
        with self._tables.lock:
            self._keep(record)
        return record.session_id

    def update(self, record: SessionRecord, *, replaces: SessionRecord | None = None) -> str | None:
        """Replace a session's record, if it lives and is the one to be replaced."""
        self._tables.begin("sessions.update")
        with self._tables.lock:
            present = self._load(record.session_id)
            if present is None or replaces not in (None, present):
                return None
            self._keep(record)
        return record.session_id

    def remove(self, session_id: str) -> None:
        """End a session; one that does not exist is no error."""
        self._tables.begin("sessions.remove")
        with self._tables.lock:
            self._tables.sessions.pop(session_digest(session_id), None)
            self._tables.owners.pop(session_digest(session_id), None)

    def remove_user(self, user_id: str) -> None:
        """End all sessions of a user."""
        self._tables.begin("sessions.remove_user")
        with self._tables.lock:
            owners = self._tables.owners
            for digest in [key for key, owner in owners.items() if owner == user_id]:
                del self._tables.sessions[digest], owners[digest]

    def _load(self, session_id: str) -> SessionRecord | None:
        packed = self._tables.sessions.get(session_digest(session_id))
        record = None if packed is None else unpack(packed, session_id)
        return record if record is not None and self._tables.clock() < record.expires else None

    def _keep(self, record: SessionRecord) -> None:
        digest = session_digest(record.session_id)
        self._tables.sessions[digest] = pack(record)
        self._tables.owners[digest] = record.user_id


class MemoryAccounts:
    """An ``AccountStore``."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def create(self, user_id: str, password_hash: str, properties: Mapping[str, Any]) -> bool:
        """Create an account; False when the id is taken."""
        self._tables.begin("accounts.create")
        packed = _packed(properties)
        with self._tables.lock:
            if user_id in self._tables.accounts:
                return False
            self._tables.accounts[user_id] = MemoryAccount(password_hash, 0, packed)
        return True

    def credentials(self, user_id: str) -> Credentials | None:
        """Return what a login is checked against, or None for an unknown user."""
        self._tables.begin("accounts.credentials")
        with self._tables.lock:
            account = self._tables.accounts.get(user_id)
            if account is None:
                return None
            return Credentials(account.password_hash, account.generation)

    def set_password(self, user_id: str, password_hash: str, *, replaces: str | None) -> bool:
        """Set the password hash, if the present one is the one to be replaced."""
        self._tables.begin("accounts.set_password")
        with self._tables.lock:
            account = self._tables.accounts.get(user_id)
            if account is None or replaces not in (None, account.password_hash):
                return False
            account.password_hash = password_hash
        return True

    def end_sessions(self, user_id: str) -> None:
        """Raise the generation by one."""
        self._tables.begin("accounts.end_sessions")
        with self._tables.lock:
            if user_id in self._tables.accounts:
                self._tables.accounts[user_id].generation += 1

    def load(self, user_id: str, names: Sequence[str]) -> dict[str, Any] | None:
        """Return the named properties; None without an account."""
        self._tables.begin("accounts.load")
        with self._tables.lock:
            account = self._tables.accounts.get(user_id)
            if account is None:
                return None
            kept = dict(account.properties)
        found: dict[str, Any] = {}
        for name in names:
            if name in kept:
                unpack_property_into(found, name, kept[name])
        return {**found, "user_id": user_id} if "user_id" in names else found

    def update(self, user_id: str, properties: Mapping[str, Any]) -> bool:
        """Set properties, all or none; False for an unknown user."""
        self._tables.begin("accounts.update")
        packed = _packed(properties)
        with self._tables.lock:
            account = self._tables.accounts.get(user_id)
            if account is None:
                return False
            account.properties.update(packed)
        return True


def open_memory_database(
    tables: MemoryTables | None = None, counters: CounterStore | None = None
) -> Database:
    """Return an empty database, or one on the tables and counters of the caller."""
    shared = tables or MemoryTables()
    return Database(
        accounts=MemoryAccounts(shared),
        sessions=MemorySessions(shared),
        counters=counters or MemoryCounters(shared.clock),
        handle=shared,
        is_remote=False,
        close=lambda: None,
    )


def _packed(properties: Mapping[str, Any]) -> dict[str, bytes]:
    return {name: pack_property(name, value) for name, value in properties.items()}
