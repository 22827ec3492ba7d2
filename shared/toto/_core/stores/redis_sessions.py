"""Sessions in Redis: a value for each that expires by itself, and an index for each user."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from toto._core.stores.outage import Outage
from toto._core.stores.record import SessionRecord, pack, session_digest, unpack
from toto._core.stores.redis_client import AnyRedis
from toto._core.stores.redis_link import RedisLink, quoted

__all__ = ["RedisSessionStore", "read_record", "session_key"]

_log = logging.getLogger("toto.store")

_REMAINING_MILLISECONDS_MAX = 100 * 365 * 24 * 3600 * 1000
"""A hundred years stand for ever; Redis refuses times that leave 64 bits."""
_REMOVED_AT_ONCE_MAX = 500


def session_key(prefix: str, session_id: str) -> str:
    """Return the key of a session: it holds the SHA-256 of the id, never the id."""
    return f"{prefix}session:{session_digest(session_id).hex()}"


def read_record(packed: bytes | None, session_id: str, now: float) -> SessionRecord | None:
    """Return the live session that Redis answered with, or None."""
    if packed is None:
        return None
    try:
        record = unpack(packed, session_id)
    except ValueError as error:
        digest = session_digest(session_id).hex()
        _log.error("the session with digest %s is unreadable: %s", digest[:16], error)
        return None
    return record if record.expires > now else None


class RedisSessionStore:
    """Keeps sessions in Redis; a ``SessionStore``.

    A key's lifetime is set as time remaining, so the clock of the Redis server does not matter.
    All transactions are on one key, as a cluster needs it.

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
        self._prefix = prefix
        self._clock = clock
        self._link = RedisLink(client, prefix, outage or Outage("Redis"))

    def load(self, session_ids: Sequence[str]) -> list[SessionRecord | None]:
        """Return the live session of each id, or None."""
        values = self._link.get_many([self._key(session_id) for session_id in session_ids])
        now = self._clock()
        return [
            read_record(value, session_id, now)
            for value, session_id in zip(values, session_ids, strict=True)
        ]

    def create(self, record: SessionRecord) -> str:
        """Keep a session; return its id."""
        milliseconds = self._remaining_milliseconds(record)
        if milliseconds > 0:
            with self._link.connected() as client:
                client.set(self._key(record.session_id), pack(record), px=milliseconds)
            # The index comes second: if this process dies in between, nobody has heard of the
            # session. The other way round `remove_user` could miss one that is in use.
            self._add_to_index(record, milliseconds)
        return record.session_id

    def update(self, record: SessionRecord, *, replaces: SessionRecord | None = None) -> str | None:
        """Replace a session's record, if it has not ended and is still the one it replaces."""
        milliseconds = self._remaining_milliseconds(record)
        if replaces is not None:
            return self._exchange(replaces, record, milliseconds)
        if milliseconds <= 0:
            self.remove(record.session_id)
            return None
        key = self._key(record.session_id)
        with self._link.connected() as client:
            packed: Any = client.set(key, pack(record), px=milliseconds, xx=True, get=True)
        if packed is None:
            return None
        previous = _unpack_or_none(packed, record.session_id)
        if previous is not None and previous.expires <= self._clock():
            self.remove(record.session_id)
            return None
        if previous is None or _index_entry(previous) != _index_entry(record):
            self._move_in_index(previous, record, milliseconds)
        return record.session_id

    def remove(self, session_id: str) -> None:
        """End a session; one that does not exist is no error."""
        with self._link.connected() as client:
            packed: Any = client.getdel(self._key(session_id))
        record = None if packed is None else _unpack_or_none(packed, session_id)
        if record is not None and record.user_id is not None:
            self._remove_from_index(record.user_id, session_id)

    def remove_user(self, user_id: str) -> None:
        """End all sessions of a user."""
        index = self._index_key(user_id)
        with self._link.connected() as client:
            members: Any = client.zrange(index, 0, -1)
            for first in range(0, len(members), _REMOVED_AT_ONCE_MAX):
                some = members[first : first + _REMOVED_AT_ONCE_MAX]
                client.delete(*(self._link.key("session", digest.hex()) for digest in some))
                # Not the whole index: a session may have been added meanwhile.
                client.zrem(index, *some)

    def _exchange(
        self, replaces: SessionRecord, record: SessionRecord, milliseconds: int
    ) -> str | None:
        """Replace one record by another, if it is the present one and not over."""
        key, packed = self._key(record.session_id), pack(record)
        was_sent = False

        def prepare(pipeline: Any) -> bool:
            nonlocal was_sent
            present: bytes | None = pipeline.get(key)
            if was_sent and present == packed:
                return True  # the answer was lost with its connection, but it has been done
            if read_record(present, record.session_id, self._clock()) != replaces:
                return False
            pipeline.multi()
            if milliseconds > 0:
                pipeline.set(key, packed, px=milliseconds)
            else:
                pipeline.delete(key)
            was_sent = True
            return True

        if not self._link.transact(key, prepare):
            return None
        if milliseconds <= 0:
            if replaces.user_id is not None:
                self._remove_from_index(replaces.user_id, record.session_id)
            return None
        if _index_entry(replaces) != _index_entry(record):
            self._move_in_index(replaces, record, milliseconds)
        return record.session_id

    def _key(self, session_id: str) -> str:
        return session_key(self._prefix, session_id)

    def _index_key(self, user_id: str) -> str:
        return self._link.key("user-sessions", quoted(user_id))

    def _remaining_milliseconds(self, record: SessionRecord) -> int:
        remaining = (record.expires - self._clock()) * 1000
        return int(min(max(remaining, 0), _REMAINING_MILLISECONDS_MAX))

    def _move_in_index(
        self, previous: SessionRecord | None, record: SessionRecord, milliseconds: int
    ) -> None:
        was_of = None if previous is None else previous.user_id
        if was_of is not None and was_of != record.user_id:
            self._remove_from_index(was_of, record.session_id)
        self._add_to_index(record, milliseconds)

    def _remove_from_index(self, user_id: str, session_id: str) -> None:
        with self._link.connected() as client:
            client.zrem(self._index_key(user_id), session_digest(session_id))

    def _add_to_index(self, record: SessionRecord, milliseconds: int) -> None:
        """Add a session to its user's index, drop what has expired, and let the index live as long
        as the last of its sessions."""
        if record.user_id is None:
            return
        index = self._index_key(record.user_id)
        digest = session_digest(record.session_id)
        now = self._clock()
        expires = now + milliseconds / 1000

        def prepare(pipeline: Any) -> bool:
            last = pipeline.zrevrange(index, 0, 0, withscores=True)
            latest = max([expires, *(score for _, score in last)])
            pipeline.multi()
            pipeline.zadd(index, {digest: expires})
            pipeline.zremrangebyscore(index, "-inf", now)
            # A second longer, for the milliseconds that are rounded off.
            pipeline.pexpire(index, int((latest - now + 1) * 1000))
            return True

        self._link.transact(index, prepare)


def _index_entry(record: SessionRecord) -> tuple[str | None, float]:
    return record.user_id, record.expires


def _unpack_or_none(packed: bytes, session_id: str) -> SessionRecord | None:
    try:
        return unpack(packed, session_id)
    except ValueError:
        return None
