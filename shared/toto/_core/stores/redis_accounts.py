"""Accounts in Redis: a hash for each."""

import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from toto._core.stores.outage import Outage
from toto._core.stores.property_values import pack_property, unpack_property_into
from toto._core.stores.redis_client import AnyRedis
from toto._core.stores.redis_link import RedisLink, quoted
from toto._core.stores.store import RESERVED_PROPERTIES, Credentials

__all__ = ["RedisAccountStore"]


class RedisAccountStore:
    """Keeps accounts in Redis; an ``AccountStore``.

    Args:
        client: gives answers as bytes (no ``decode_responses``).
        prefix: what every key begins with.
        clock: returns seconds since the epoch.
        outage: shared by all who use the client; None for one of its own.
    """

    def __init__(
        self,
        client: AnyRedis,
        *,
        prefix: str,
        clock: Callable[[], float] = time.time,
        outage: Outage | None = None,
    ) -> None:
        self._link = RedisLink(client, prefix, outage or Outage("Redis"))
        self._clock = clock

    def create(self, user_id: str, password_hash: str, properties: Mapping[str, Any]) -> bool:
        """Create an account; False when the id is taken. Of two at once one wins.

        Raises:
            ValueError: for a reserved name, or a value that cannot be stored; nothing is changed.
        """
        fields: dict[bytes, Any] = {
            b"password": password_hash,
            b"generation": 0,
            b"created": repr(self._clock()),
            **_packed_properties(properties),
        }
        key = self._key(user_id)

        def prepare(pipeline: Any) -> bool:
            if pipeline.exists(key):
                return False
            pipeline.multi()
            pipeline.hset(key, mapping=fields)
            return True

        return self._link.transact(key, prepare)

    def credentials(self, user_id: str) -> Credentials | None:
        """Return what a login is checked against, or None for an unknown user."""
        password_hash, generation = self._fields(user_id, [b"password", b"generation"])
        if password_hash is None:
            return None
        return Credentials(password_hash.decode(), int(generation or 0))

    def set_password(self, user_id: str, password_hash: str, *, replaces: str | None) -> bool:
        """Set the password hash; with ``replaces`` only if that is the present one."""

        def is_wanted(present: bytes) -> bool:
            return replaces is None or hmac.compare_digest(present, replaces.encode())

        return self._change(
            user_id,
            lambda pipeline, key: pipeline.hset(key, "password", password_hash),
            is_wanted,
        )

    def end_sessions(self, user_id: str) -> None:
        """Raise the generation by one, which ends every client token of the user."""
        self._change(user_id, lambda pipeline, key: pipeline.hincrby(key, "generation", 1))

    def load(self, user_id: str, names: Sequence[str]) -> dict[str, Any] | None:
        """Return the named properties, those that are missing left out; None without an account."""
        wanted = [name for name in names if name not in RESERVED_PROPERTIES]
        password_hash, *values = self._fields(user_id, [b"password", *map(_field, wanted)])
        if password_hash is None:
            return None
        properties: dict[str, Any] = {"user_id": user_id} if "user_id" in names else {}
        for name, packed in zip(wanted, values, strict=True):
            if packed is not None:
                unpack_property_into(properties, name, packed)
        return properties

    def update(self, user_id: str, properties: Mapping[str, Any]) -> bool:
        """Set properties; False for an unknown user.

        Raises:
            ValueError: for a reserved name, or a value that cannot be stored; nothing is changed.
        """
        fields = _packed_properties(properties)
        if not fields:
            return self._fields(user_id, [b"password"])[0] is not None
        return self._change(user_id, lambda pipeline, key: pipeline.hset(key, mapping=fields))

    def _key(self, user_id: str) -> str:
        return self._link.key("account", quoted(user_id))

    def _fields(self, user_id: str, fields: list[bytes]) -> list[bytes | None]:
        with self._link.connected() as client:
            values: Any = client.hmget(self._key(user_id), fields)
        return list(values)

    def _change(
        self,
        user_id: str,
        queue: Callable[[Any, str], object],
        is_wanted: Callable[[bytes], bool] = lambda present: True,
    ) -> bool:
        """Change an account that exists: a command on a hash would make one that does not."""
        key = self._key(user_id)

        def prepare(pipeline: Any) -> bool:
            password_hash = pipeline.hget(key, "password")
            if password_hash is None or not is_wanted(password_hash):
                return False
            pipeline.multi()
            queue(pipeline, key)
            return True

        return self._link.transact(key, prepare)


def _field(name: str) -> bytes:
    return f"p:{name}".encode("utf-8", "surrogatepass")


def _packed_properties(properties: Mapping[str, Any]) -> dict[bytes, bytes]:
    return {_field(name): pack_property(name, value) for name, value in properties.items()}
