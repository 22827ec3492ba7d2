"""The smallest database that sessions and accounts work with."""

from collections.abc import Mapping, Sequence
from typing import Any

from toto._core.stores.record import SessionRecord


class OneRowDatabase:
    """One session and one account, as a ``DBConnection`` would show them."""

    is_exchanging = True

    def __init__(self, record: SessionRecord | None = None) -> None:
        self.record = record
        self.properties: dict[str, Any] | None = {}
        self.asked_for: list[list[str]] = []
        self.written: list[dict[str, Any]] = []

    def load_record(self, session_id: str) -> SessionRecord | None:
        return self.record

    def update_record(
        self, record: SessionRecord, *, replaces: SessionRecord | None = None
    ) -> str | None:
        if self.record is None or replaces not in (None, self.record):
            return None
        self.record = record
        return record.session_id

    def load_properties(self, user_id: str, names: Sequence[str]) -> dict[str, Any] | None:
        self.asked_for.append(list(names))
        kept = self.properties
        return None if kept is None else {name: kept[name] for name in names if name in kept}

    def update_properties(self, user_id: str, properties: Mapping[str, Any]) -> bool:
        self.written.append(dict(properties))
        if self.properties is None:
            return False
        self.properties.update(properties)
        return True
