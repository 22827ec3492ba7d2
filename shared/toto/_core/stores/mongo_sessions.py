"""Sessions in a MongoDB collection."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from toto._core.stores.mongo_link import EXPIRES, MongoLink, expiry_date
from toto._core.stores.record import SessionRecord, session_digest, unpack
from toto._core.stores.record_bytes import canonical_bytes

__all__ = ["MongoSessionStore"]

_log = logging.getLogger("toto.store")
_COLLECTION = "sessions"


class MongoSessionStore:
    """Keeps sessions in MongoDB; a ``SessionStore``. Documents hold the SHA-256 of the id.

    Args:
        link: the way to the database.
        clock: returns seconds since the epoch.
    """

    def __init__(self, link: MongoLink, clock: Callable[[], float]) -> None:
        self._link = link
        self._clock = clock

    def load(self, session_ids: Sequence[str]) -> list[SessionRecord | None]:
        """Return the live session of each id, or None."""
        if not session_ids:
            return []
        digests = [session_digest(session_id) for session_id in session_ids]
        with self._link.collection(_COLLECTION) as collection:
            found = collection.find({"_id": {"$in": list(set(digests))}}, {"record": 1})
            records = {document["_id"]: document.get("record") for document in found}
        now = self._clock()
        return [
            _live(records[digest], session_id, now) if digest in records else None
            for session_id, digest in zip(session_ids, digests, strict=True)
        ]

    def create(self, record: SessionRecord) -> str:
        """Keep a session; return its id."""
        self._link.ensure_indexes(_COLLECTION, "user_id")
        with self._link.collection(_COLLECTION) as collection:
            collection.replace_one(_key(record.session_id), _document(record), upsert=True)
        return record.session_id

    def update(self, record: SessionRecord, *, replaces: SessionRecord | None = None) -> str | None:
        """Replace a session's record, if it has not ended and is still the one it replaces."""
        live = {**_key(record.session_id), "expires": {"$gt": self._clock()}}
        if replaces is not None:
            live["record"] = canonical_bytes(replaces)
        with self._link.collection(_COLLECTION) as collection:
            result = collection.update_one(live, {"$set": _document(record)})
        return record.session_id if result.matched_count else None

    def remove(self, session_id: str) -> None:
        """End a session; one that does not exist is no error."""
        with self._link.collection(_COLLECTION) as collection:
            collection.delete_one(_key(session_id))

    def remove_user(self, user_id: str) -> None:
        """End all sessions of a user."""
        if not _can_be_stored(user_id):
            return
        with self._link.collection(_COLLECTION) as collection:
            collection.delete_many({"user_id": user_id})


def _key(session_id: str) -> dict[str, Any]:
    return {"_id": session_digest(session_id)}


def _document(record: SessionRecord) -> dict[str, Any]:
    return {
        "user_id": record.user_id,
        "expires": record.expires,
        EXPIRES: expiry_date(record.expires),
        "record": canonical_bytes(record),
    }


def _can_be_stored(text: str) -> bool:
    """A lone surrogate is in no document, and BSON cannot even ask for it."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _live(packed: Any, session_id: str, now: float) -> SessionRecord | None:
    try:
        record = unpack(packed, session_id)
    except (ValueError, TypeError) as error:
        _log.error("a stored session is unreadable: %s", error)
        return None
    return record if record.expires > now else None
