"""A session store that keeps nothing: the session is in its id, which the client keeps."""

import time
from collections.abc import Callable, Sequence
from operator import call as call_directly
from typing import Any

from toto._core.stores.lifetimes import Lifetimes
from toto._core.stores.record import SessionRecord
from toto._core.stores.revocations import Revocations
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import AccountStore, CounterStore
from toto.clientsessioncache import ClientCache

__all__ = ["ClientSessionStore", "Revocations"]


class ClientSessionStore:
    """A ``SessionStore`` whose session ids are tokens.

    A token that was ended is refused here at once, and in other processes within 5 s. Without
    accounts and counters (``database = none``) there is nobody to ask: a token is valid until it
    expires, logout or not.

    Args:
        cache: makes and reads tokens.
        accounts: knows which users have ended all of their sessions; None: nobody does.
        counters: keeps the deny list; None: there is none.
        settings: the lifetimes.
        clock: gives the seconds since the epoch.
        call: runs an operation of accounts or counters under a time limit. Do not call this
            object's own methods that way: it could not tell a slow store from a failure.
    """

    def __init__(
        self,
        cache: ClientCache,
        accounts: AccountStore | None,
        counters: CounterStore | None,
        settings: StoreSettings,
        clock: Callable[[], float] = time.time,
        *,
        call: Callable[..., Any] = call_directly,
    ) -> None:
        self._cache = cache
        self._lifetimes = Lifetimes(settings)
        self._clock = clock
        self.revocations = Revocations(accounts, counters, clock=clock, call=call)

    def decode(self, token: str) -> SessionRecord | None:
        """Return the session of a token that we made and that has not expired.

        Quick, without I/O. Whether it was ended, ``revocations`` tells.
        """
        data = self._cache.load_session(token)
        if data is None:
            return None
        record = SessionRecord.from_data({**data, "session_id": token})
        if self._lifetimes.is_over(record, self._clock()):
            return None
        # Without a name a token could not be ended; the cache gives one to every token it makes.
        return record if record.token_id else None

    def load(self, session_ids: Sequence[str]) -> list[SessionRecord | None]:
        """Return the live session of each token, or None."""
        return [self._live(token) for token in session_ids]

    def create(self, record: SessionRecord) -> str:
        """Return a new token.

        Raises:
            TotoException: the session has too many variables for a token (1000).
        """
        return self._cache.store_session(record.as_data())

    def update(self, record: SessionRecord, *, replaces: SessionRecord | None = None) -> str | None:
        """Return a token of the new record, or None when the session has ended.

        The tokens that came before stay valid until they expire; all end together.

        Args:
            record: the new one.
            replaces: ignored, for what a token holds cannot be changed by others. Of two who read
                one token and write, each gets a token with what it wrote itself.
        """
        del replaces
        return None if self._live(record.session_id) is None else self.create(record)

    def remove(self, session_id: str) -> None:
        """End the session of a token, with all tokens that were made for it."""
        record = self.decode(session_id)
        if record is not None:
            # A later token of the same session may live longer than the one we were given.
            life_seconds = self._lifetimes.last_expiry(record) - self._clock()
            self.revocations.end(record, life_seconds)

    def remove_user(self, user_id: str) -> None:
        """Take note that a user's generation has changed: ``AccountStore.end_sessions`` did it."""
        self.revocations.forget_user(user_id)

    def _live(self, token: str) -> SessionRecord | None:
        record = self.decode(token)
        if record is None:
            return None
        is_revoked = self.revocations.known(record)
        if is_revoked is None:
            is_revoked = self.revocations.check(record)
        return None if is_revoked else record
