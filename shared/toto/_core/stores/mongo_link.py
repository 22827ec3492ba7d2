"""What all stores in one MongoDB share: its collections, and what its errors mean."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from toto._core.stores.outage import Outage
from toto._core.stores.store import StoreUnavailable

__all__ = ["EXPIRES", "MongoLink", "expiry_date"]

EXPIRES = "expires_date"
"""A date, by which MongoDB removes documents within a minute or so; nobody relies on it."""

_LAST_SECOND = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_REASON_CHARACTERS = 200


class MongoLink:
    """The collections of one database.

    Args:
        database: its client has the time limits.
        prefix: what the names of collections begin with.
        where: the database, for the log.
    """

    def __init__(self, database: "Database[dict[str, Any]]", prefix: str, where: str) -> None:
        self._database = database
        self._prefix = prefix
        self._outage = Outage(where)
        self._lock = threading.Lock()
        self._indexed: set[str] = set()

    @contextmanager
    def collection(self, name: str) -> "Iterator[Collection[dict[str, Any]]]":
        """Give a collection out, and turn the driver's errors into an outage.

        Raises:
            StoreUnavailable: the server could not be reached, or would not do it.
        """
        try:
            yield self._database[self._prefix + name]
        except PyMongoError as error:
            self._outage.began(_reason(error))
            raise StoreUnavailable from (None if _may_quote(error) else error)
        self._outage.ended()

    def ensure_indexes(self, name: str, *fields: str) -> None:
        """Make the indexes of a collection, once in a process; before the first write there.

        Args:
            name: the collection.
            fields: each gets an index, besides that for the expiry.
        """
        if name in self._indexed:
            return
        with self._lock, self.collection(name) as collection:
            collection.create_index(EXPIRES, expireAfterSeconds=0)
            for field in fields:
                collection.create_index(field)
            self._indexed.add(name)


def expiry_date(seconds: float) -> datetime:
    """Return a time as the date that ``EXPIRES`` holds; the year 9999 stands for ever."""
    return datetime.fromtimestamp(min(max(seconds, 0.0), _LAST_SECOND), UTC)


def _may_quote(error: PyMongoError) -> bool:
    """A server's refusal may repeat the document: its fields are secret."""
    return isinstance(error, OperationFailure)


def _reason(error: PyMongoError) -> str:
    if isinstance(error, OperationFailure):
        return f"{type(error).__name__}: code {error.code}"
    return f"{type(error).__name__}: {str(error)[:_REASON_CHARACTERS]!r}"
