"""A database in the memory of one process, for tests that need many of them or a settable clock.

It keeps what the store Protocols promise, losing nothing and raising nothing of its own; the switch
``is_away`` makes every operation fail as that of an unreachable database does.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack

from toto._core.stores.record import SessionRecord, pack, session_digest, unpack
from toto._core.stores.store import RESERVED_PROPERTIES, Credentials, Database, StoreUnavailable


class SettableClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class Account:
    password_hash: str
    generation: int
    properties: dict[str, bytes]


@dataclass
class Memory:
    """What all stores of one database share."""

    clock: Callable[[], float]
    lock: threading.RLock = field(default_factory=threading.RLock)
    accounts: dict[str, Account] = field(default_factory=dict)
    sessions: dict[bytes, bytes] = field(default_factory=dict)
    owners: dict[bytes, str | None] = field(default_factory=dict)
    counters: dict[str, tuple[int, float]] = field(default_factory=dict)
    is_away: bool = False
    operations: list[str] = field(default_factory=list)

    def begin(self, operation: str) -> None:
        self.operations.append(operation)
        if self.is_away:
            raise StoreUnavailable


class MemorySessions:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def load(self, session_ids: Sequence[str]) -> list[SessionRecord | None]:
        self._memory.begin("sessions.load")
        with self._memory.lock:
            return [self._load(session_id) for session_id in session_ids]

    def create(self, record: SessionRecord) -> str:
        self._memory.begin("sessions.create")
        with self._memory.lock:
            self._keep(record)
        return record.session_id

    def update(self, record: SessionRecord, *, replaces: SessionRecord | None = None) -> str | None:
        self._memory.begin("sessions.update")
        with self._memory.lock:
            present = self._load(record.session_id)
            if present is None or replaces not in (None, present):
                return None
            self._keep(record)
        return record.session_id

    def remove(self, session_id: str) -> None:
        self._memory.begin("sessions.remove")
        with self._memory.lock:
            self._memory.sessions.pop(session_digest(session_id), None)
            self._memory.owners.pop(session_digest(session_id), None)

    def remove_user(self, user_id: str) -> None:
        self._memory.begin("sessions.remove_user")
        with self._memory.lock:
            owners = self._memory.owners
            for digest in [key for key, owner in owners.items() if owner == user_id]:
                del self._memory.sessions[digest], owners[digest]

    def _load(self, session_id: str) -> SessionRecord | None:
        packed = self._memory.sessions.get(session_digest(session_id))
        record = None if packed is None else unpack(packed, session_id)
        return record if record is not None and self._memory.clock() < record.expires else None

    def _keep(self, record: SessionRecord) -> None:
        digest = session_digest(record.session_id)
        self._memory.sessions[digest] = pack(record)
        self._memory.owners[digest] = record.user_id


class MemoryAccounts:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def create(self, user_id: str, password_hash: str, properties: Mapping[str, Any]) -> bool:
        self._memory.begin("accounts.create")
        packed = _packed(properties)
        with self._memory.lock:
            if user_id in self._memory.accounts:
                return False
            self._memory.accounts[user_id] = Account(password_hash, 0, packed)
        return True

    def credentials(self, user_id: str) -> Credentials | None:
        self._memory.begin("accounts.credentials")
        with self._memory.lock:
            account = self._memory.accounts.get(user_id)
            if account is None:
                return None
            return Credentials(account.password_hash, account.generation)

    def set_password(self, user_id: str, password_hash: str, *, replaces: str | None) -> bool:
        self._memory.begin("accounts.set_password")
        with self._memory.lock:
            account = self._memory.accounts.get(user_id)
            if account is None or replaces not in (None, account.password_hash):
                return False
            account.password_hash = password_hash
        return True

    def end_sessions(self, user_id: str) -> None:
        self._memory.begin("accounts.end_sessions")
        with self._memory.lock:
            if user_id in self._memory.accounts:
                self._memory.accounts[user_id].generation += 1

    def load(self, user_id: str, names: Sequence[str]) -> dict[str, Any] | None:
        self._memory.begin("accounts.load")
        with self._memory.lock:
            account = self._memory.accounts.get(user_id)
            if account is None:
                return None
            kept = account.properties
            found = {name: msgpack.unpackb(kept[name]) for name in names if name in kept}
        return {**found, "user_id": user_id} if "user_id" in names else found

    def update(self, user_id: str, properties: Mapping[str, Any]) -> bool:
        self._memory.begin("accounts.update")
        packed = _packed(properties)
        with self._memory.lock:
            account = self._memory.accounts.get(user_id)
            if account is None:
                return False
            account.properties.update(packed)
        return True


class MemoryCounts:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def hit(self, key: str, ttl_seconds: float) -> int:
        self._memory.begin("counters.hit")
        now = self._memory.clock()
        with self._memory.lock:
            count, until = self._memory.counters.get(key, (0, 0.0))
            if until <= now:
                count, until = 0, now + ttl_seconds
            self._memory.counters[key] = (count + 1, until)
        return count + 1

    def counts(self, keys: Sequence[str]) -> list[int]:
        self._memory.begin("counters.counts")
        now = self._memory.clock()
        with self._memory.lock:
            found = [self._memory.counters.get(key, (0, 0.0)) for key in keys]
        return [count if until > now else 0 for count, until in found]

    def clear(self, key: str) -> None:
        self._memory.begin("counters.clear")
        with self._memory.lock:
            self._memory.counters.pop(key, None)


def open_memory_database(clock: Callable[[], float]) -> tuple[Database, Memory]:
    """Return a database and what is behind it."""
    memory = Memory(clock)
    database = Database(
        accounts=MemoryAccounts(memory),
        sessions=MemorySessions(memory),
        counters=MemoryCounts(memory),
        handle=memory,
        is_remote=False,
        close=lambda: None,
    )
    return database, memory


def _packed(properties: Mapping[str, Any]) -> dict[str, bytes]:
    refused = sorted(RESERVED_PROPERTIES.intersection(properties))
    if refused:
        raise ValueError(f"reserved: {', '.join(refused)}")
    try:
        return {name: msgpack.packb(value) for name, value in properties.items()}
    except (TypeError, OverflowError, ValueError) as error:
        raise ValueError(f"cannot be stored: {error}") from error
