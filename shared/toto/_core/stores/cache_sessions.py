"""Makes a session store of any ``TotoSessionCache`` that an application brings."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from toto._core.stores.record import SessionRecord
from toto._core.stores.store import StoreUnavailable
from toto.session import TotoSessionCache

__all__ = ["CacheSessionStore"]

logger = logging.getLogger("toto.session")


class CacheSessionStore:
    """A ``SessionStore`` on top of a cache, of which nothing is taken for granted.

    An exception of the cache is logged and becomes ``StoreUnavailable``. A cache cannot end all
    sessions of a user unless it has a method ``remove_user(user_id)``.

    Args:
        cache: the application's.
        clock: gives the seconds since the epoch.
    """

    def __init__(self, cache: TotoSessionCache, clock: Callable[[], float] = time.time) -> None:
        self._cache = cache
        self._clock = clock
        self._has_told_of_users = False

    def load(self, session_ids: Sequence[str]) -> list[SessionRecord | None]:
        """Return the live session of each id, or None."""
        return [self._load(session_id) for session_id in session_ids]

    def create(self, record: SessionRecord) -> str:
        """Keep a new session; return its id, which the cache may choose itself."""
        new_id = self._asked(self._cache.store_session, record.as_data())
        return new_id if isinstance(new_id, str) and new_id else record.session_id

    def update(self, record: SessionRecord) -> str | None:
        """Replace a session's record, if the cache still has it.

        A cache cannot do both at once: of a session that ends in between, the record stays.
        """
        return None if self._load(record.session_id) is None else self.create(record)

    def remove(self, session_id: str) -> None:
        """End a session, if the cache can."""
        self._asked(self._cache.remove_session, session_id)

    def remove_user(self, user_id: str) -> None:
        """End all sessions of a user, if the cache can."""
        remove_user = getattr(self._cache, "remove_user", None)
        if remove_user is not None:
            self._asked(remove_user, user_id)
        elif not self._has_told_of_users:
            self._has_told_of_users = True
            logger.warning(
                "%s has no remove_user: a user's sessions outlast a change of the password",
                type(self._cache).__name__,
            )

    def _load(self, session_id: str) -> SessionRecord | None:
        data = self._asked(self._cache.load_session, session_id)
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

    def _asked(self, fn: Callable[..., Any], argument: Any) -> Any:
        try:
            return fn(argument)
        except StoreUnavailable:
            raise
        except Exception as error:
            logger.exception("%s failed", type(self._cache).__name__)
            raise StoreUnavailable from error
