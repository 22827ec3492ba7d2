"""Counters in a MongoDB collection."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from toto._core.stores.mongo_link import EXPIRES, MongoLink, expiry_date
from toto._core.stores.store import StoreUnavailable

__all__ = ["MongoCounterStore"]

_COLLECTION = "counters"
_ATTEMPTS_MAX = 50


class MongoCounterStore:
    """Counts in MongoDB; a ``CounterStore``. Keys are hashed: they may hold tokens, and be long.

    Args:
        link: the way to the database.
        clock: returns seconds since the epoch.
    """

    def __init__(self, link: MongoLink, clock: Callable[[], float]) -> None:
        self._link = link
        self._clock = clock

    def hit(self, key: str, ttl_seconds: float) -> int:
        """Count one and return the sum; the first one starts the key's time. Atomic."""
        self._link.ensure_indexes(_COLLECTION)
        name = _name(key)
        with self._link.collection(_COLLECTION) as collection:
            for _ in range(_ATTEMPTS_MAX):
                now = self._clock()
                counted = collection.find_one_and_update(
                    {"_id": name, "expires": {"$gt": now}},
                    {"$inc": {"count": 1}},
                    return_document=ReturnDocument.AFTER,
                )
                if counted is not None:
                    return int(counted["count"])
                if _begin(collection, name, now, ttl_seconds):
                    return 1
        raise StoreUnavailable

    def counts(self, keys: Sequence[str]) -> list[int]:
        """Return the present sums, 0 for a key that is unknown or over."""
        if not keys:
            return []
        names = [_name(key) for key in keys]
        live = {"_id": {"$in": list(set(names))}, "expires": {"$gt": self._clock()}}
        with self._link.collection(_COLLECTION) as collection:
            sums = {found["_id"]: int(found["count"]) for found in collection.find(live)}
        return [sums.get(name, 0) for name in names]

    def clear(self, key: str) -> None:
        """Forget a key."""
        with self._link.collection(_COLLECTION) as collection:
            collection.delete_one({"_id": _name(key)})


def _begin(
    collection: "Collection[dict[str, Any]]", name: bytes, now: float, ttl_seconds: float
) -> bool:
    """Start a counter that is unknown or over; False when somebody else has just started it.

    Then the filter finds nothing, and the upsert meets the document of the other.
    """
    expires = now + ttl_seconds
    try:
        collection.update_one(
            {"_id": name, "expires": {"$lte": now}},
            {"$set": {"count": 1, "expires": expires, EXPIRES: expiry_date(expires)}},
            upsert=True,
        )
    except DuplicateKeyError:
        return False
    return True


def _name(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
