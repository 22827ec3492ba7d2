"""The product's database in memory, watched: tests see every operation, and can take it away.

The switch ``is_away`` makes every operation fail as that of an unreachable database does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from toto._core.stores.memory_counters import MemoryCounters
from toto._core.stores.memory_database import MemoryTables
from toto._core.stores.memory_database import open_memory_database as open_database
from toto._core.stores.store import Database, StoreUnavailable


class SettableClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class Memory(MemoryTables):
    """The tables of one database."""

    is_away: bool = False
    operations: list[str] = field(default_factory=list)
    counter_store: "WatchedCounters" = field(init=False)

    def __post_init__(self) -> None:
        self.counter_store = WatchedCounters(self)

    @property
    def counters(self) -> dict[str, tuple[int, float]]:
        """The sum under each key, and until when it counts."""
        return dict(self.counter_store._counts)

    def begin(self, operation: str) -> None:
        """Note the operation, and fail if the database is away."""
        self.operations.append(operation)
        if self.is_away:
            raise StoreUnavailable


class WatchedCounters(MemoryCounters):
    """Counters that belong to the tables: they go away with them."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory.clock)
        self._memory = memory

    def hit(self, key: str, ttl_seconds: float) -> int:
        self._memory.begin("counters.hit")
        return super().hit(key, ttl_seconds)

    def counts(self, keys: Sequence[str]) -> list[int]:
        self._memory.begin("counters.counts")
        return super().counts(keys)

    def clear(self, key: str) -> None:
        self._memory.begin("counters.clear")
        super().clear(key)


def open_memory_database(clock: Callable[[], float]) -> tuple[Database, Memory]:
    """Return a database and what is behind it."""
    memory = Memory(clock)
    return open_database(memory, memory.counter_store), memory
