"""Makes a session store of any ``TotoSessionCache`` that an application brings."""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from toto._core.stores.breaker import StoreFailed
from toto._core.stores.record import SessionRecord
from toto._core.stores.store import StoreUnavailable
from toto.session import TotoSessionCache

__all__ = ["TRACEBACK_SECONDS", "CacheSessionStore"]

logger = logging.getLogger("toto.session")

TRACEBACK_SECONDS = 10.0
"""Least time between two tracebacks of one cache: strangers may cause as many as they like."""
_QUOTED_CHARACTERS = 6
"""So many characters of a session id in a row are no accident."""
_TEXT_CHARACTERS_MAX = 200


class CacheSessionStore:
    """A ``SessionStore`` on top of a cache, of which nothing is taken for granted.

    An exception of the cache is logged and becomes ``StoreFailed``. A cache cannot end all
    sessions of a user unless it has a method ``remove_user(user_id)``.

    Args:
        cache: the application's.
        clock: gives the seconds since the epoch.
    """

    def __init__(self, cache: TotoSessionCache, clock: Callable[[], float] = time.time) -> None:
        self._cache = cache
        self._clock = clock
        self._has_told_of_users = False
        self._updates: set[_Update] = set()
        self._told_at = float("-inf")
        self._lock = threading.Lock()

    def load(self, session_ids: Sequence[str]) -> list[SessionRecord | None]:
        """Return the live session of each id, or None."""
        return [self._load(session_id) for session_id in session_ids]

    def create(self, record: SessionRecord) -> str:
        """Keep a new session; return its id, which the cache may choose itself."""
        secrets = (record.session_id, record.key)
        new_id = self._asked(self._cache.store_session, record.as_data(), secrets)
        return new_id if isinstance(new_id, str) and new_id else record.session_id

    def update(self, record: SessionRecord, *, replaces: SessionRecord | None = None) -> str | None:
        """Replace a session's record, if the cache still has it, and still has what it replaces.

        A cache cannot look and write in one step. A session that is ended meanwhile by this object
        stays ended. What another process does meanwhile is undone: a session that it ends is back,
        and of two that replace one record both do.
        """
        with self._updating(record) as update:
            present = self._load(record.session_id)
            if present is None or replaces not in (None, present):
                return None
            session_id = self.create(record)
            if not update.is_ended({record.user_id, present.user_id}):
                return session_id
        self.remove(session_id)
        return None

    def remove(self, session_id: str) -> None:
        """End a session, if the cache can."""
        with self._lock:
            for update in self._updates:
                update.ended_ids.add(session_id)
        self._asked(self._cache.remove_session, session_id, (session_id,))

    def remove_user(self, user_id: str) -> None:
        """End all sessions of a user, if the cache can."""
        remove_user = getattr(self._cache, "remove_user", None)
        if remove_user is not None:
            with self._lock:
                for update in self._updates:
                    update.ended_users.add(user_id)
            self._asked(remove_user, user_id, ())
        elif not self._has_told_of_users:
            self._has_told_of_users = True
            logger.warning(
                "%s has no remove_user: a user's sessions outlast a change of the password",
                type(self._cache).__name__,
            )

    @contextmanager
    def _updating(self, record: SessionRecord) -> "Iterator[_Update]":
        update = _Update(record.session_id)
        with self._lock:
            self._updates.add(update)
        try:
            yield update
        finally:
            with self._lock:
                self._updates.discard(update)

    def _load(self, session_id: str) -> SessionRecord | None:
        data = self._asked(self._cache.load_session, session_id, (session_id,))
        if not data:
            return None
        try:
            record = SessionRecord.from_data({"session_id": session_id, **data})
        except (TypeError, ValueError):
            logger.warning("%s returned what is no session", type(self._cache).__name__)
            return None
        # A cache that mixes up two answers must not let one client in as another.
        is_right = record.session_id == session_id and self._clock() < record.expires
        return record if is_right else None

    def _asked(self, fn: Callable[..., Any], argument: Any, secrets: Sequence[str]) -> Any:
        try:
            return fn(argument)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # an application's cache may raise anything
            self._tell(error, secrets)
            # Not `from error`: whoever logs this would log the text of that.
            raise StoreFailed from None

    def _tell(self, error: Exception, secrets: Sequence[str]) -> None:
        now = self._clock()
        with self._lock:
            if 0 <= now - self._told_at < TRACEBACK_SECONDS:
                return
            self._told_at = now
        frames = "".join(traceback.format_tb(error.__traceback__))
        cache_name, error_name = type(self._cache).__name__, type(error).__name__
        logger.error("%s failed: %s%s\n%s", cache_name, error_name, _text(error, secrets), frames)


class _Update:
    """A record that is being replaced, and what has ended meanwhile."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.ended_ids: set[str] = set()
        self.ended_users: set[str | None] = set()

    def is_ended(self, user_ids: set[str | None]) -> bool:
        return self.session_id in self.ended_ids or not user_ids.isdisjoint(self.ended_users)


def _text(error: Exception, secrets: Sequence[str]) -> str:
    """Return the text of an error, unless it quotes a session id or a key."""
    text = " ".join(str(error).split())[:_TEXT_CHARACTERS_MAX]
    pieces = {
        secret[start : start + _QUOTED_CHARACTERS]
        for secret in secrets
        for start in range(max(1, len(secret) - _QUOTED_CHARACTERS + 1))
    }
    is_quoting = any(piece in text for piece in pieces if piece)
    return " (its text quotes the session)" if is_quoting else f": {text!r}"
