"""The names whose events were lost for the history, until that is written there. No I/O."""

from collections.abc import Iterable
from itertools import islice

__all__ = ["GapNames"]

NAMES_MAX = 10_000
MARKS_MAX = 100
"""Beside those that cannot wait: a mark costs the store as much as an event does."""


class GapNames:
    """Remembers so many names, and when there are more that it may have been any of them.

    From then on every name is due once, also one of which nothing was lost: a gap too many, but
    none too few.
    """

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._are_all = False
        self._taken: set[str] = set()
        """Since it may have been all."""

    def __len__(self) -> int:
        """How many are known by name."""
        return len(self._names)

    def add(self, name: str) -> None:
        """Events of this name were lost."""
        self._taken.discard(name)
        if len(self._names) < NAMES_MAX:
            self._names[name] = None
        elif name not in self._names:
            self._are_all = True

    def take(self, wanted: Iterable[str]) -> list[str]:
        """Return names to be marked, as if it had been done: those that are wanted, if they are
        due, and some others. What could not be marked has to be added again."""
        due = dict.fromkeys(name for name in wanted if self._is_due(name))
        due.update(dict.fromkeys(islice(self._names, MARKS_MAX)))
        for name in due:
            self._names.pop(name, None)
        if self._are_all:
            if len(self._taken) + len(due) > NAMES_MAX:
                self._taken.clear()
            self._taken.update(due)
        return list(due)

    def _is_due(self, name: str) -> bool:
        return name in self._names or (self._are_all and name not in self._taken)
