"""Accounts in a MongoDB collection."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pymongo.errors import DuplicateKeyError

from toto._core.stores.mongo_link import MongoLink
from toto._core.stores.property_values import pack_property, unpack_property_into
from toto._core.stores.store import RESERVED_PROPERTIES, Credentials

__all__ = ["MongoAccountStore"]

_COLLECTION = "accounts"


class MongoAccountStore:
    """Keeps accounts in MongoDB; an ``AccountStore``.

    Values are msgpack bytes: BSON has no integers of more than 63 bits, and restricts keys.

    Args:
        link: the way to the database.
        clock: returns seconds since the epoch.
    """

    def __init__(self, link: MongoLink, clock: Callable[[], float]) -> None:
        self._link = link
        self._clock = clock

    def create(self, user_id: str, password_hash: str, properties: Mapping[str, Any]) -> bool:
        """Create an account; False when the id is taken. Of two at once one wins.

        Raises:
            ValueError: for a reserved name, or a value that cannot be stored; nothing is changed.
        """
        document = {
            "_id": _stored_user_id(user_id),
            "password": password_hash,
            "generation": 0,
            "created": self._clock(),
            "properties": {
                _field(name): pack_property(name, properties[name]) for name in properties
            },
        }
        with self._link.collection(_COLLECTION) as collection:
            try:
                collection.insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    def credentials(self, user_id: str) -> Credentials | None:
        """Return what a login is checked against, or None for an unknown user."""
        found = self._find(user_id, ["password", "generation"])
        return None if found is None else Credentials(found["password"], int(found["generation"]))

    def set_password(self, user_id: str, password_hash: str, *, replaces: str | None) -> bool:
        """Set the password hash; with ``replaces`` only if that is the present one."""
        condition = {} if replaces is None else {"password": replaces}
        return self._change(user_id, {"$set": {"password": password_hash}}, condition)

    def end_sessions(self, user_id: str) -> None:
        """Raise the generation by one, which ends every client token of the user."""
        self._change(user_id, {"$inc": {"generation": 1}})

    def load(self, user_id: str, names: Sequence[str]) -> dict[str, Any] | None:
        """Return the named properties, those that are missing left out; None without an account."""
        wanted = {_field(name): name for name in names if name not in RESERVED_PROPERTIES}
        found = self._find(user_id, [f"properties.{field}" for field in wanted])
        if found is None:
            return None
        properties: dict[str, Any] = {"user_id": user_id} if "user_id" in names else {}
        stored = found.get("properties") or {}
        for field in wanted.keys() & stored.keys():
            unpack_property_into(properties, wanted[field], stored[field])
        return properties

    def update(self, user_id: str, properties: Mapping[str, Any]) -> bool:
        """Set properties; False for an unknown user.

        Raises:
            ValueError: for a reserved name, or a value that cannot be stored; nothing is changed.
        """
        fields = {
            f"properties.{_field(name)}": pack_property(name, properties[name])
            for name in properties
        }
        if not fields:
            return self._find(user_id, []) is not None
        return self._change(user_id, {"$set": fields})

    def _find(self, user_id: str, fields: list[str]) -> dict[str, Any] | None:
        with self._link.collection(_COLLECTION) as collection:
            return collection.find_one(
                {"_id": _stored_user_id(user_id)}, {"_id": 1, **dict.fromkeys(fields, 1)}
            )

    def _change(
        self, user_id: str, change: dict[str, Any], condition: Mapping[str, Any] | None = None
    ) -> bool:
        selected = {"_id": _stored_user_id(user_id), **(condition or {})}
        with self._link.collection(_COLLECTION) as collection:
            return bool(collection.update_one(selected, change).matched_count)


def _stored_user_id(user_id: str) -> str | bytes:
    """Text that BSON refuses is nobody's id, but may be asked for: bytes, which nobody has."""
    try:
        user_id.encode()
    except UnicodeEncodeError:
        return user_id.encode("utf-8", "surrogatepass")
    return user_id


def _field(name: str) -> str:
    """Return the field of a property: without dots and dollars, and never empty."""
    return "p" + quote(name, safe="", errors="surrogatepass").replace(".", "%2E")
