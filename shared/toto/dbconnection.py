"""Accounts and sessions: what ``handler.db_connection`` is."""

import copy
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import call as call_directly
from typing import Any

from toto import secret
from toto._core.stores.cache_sessions import CacheSessionStore
from toto._core.stores.client_sessions import ClientSessionStore
from toto._core.stores.lifetimes import Lifetimes
from toto._core.stores.passwords import Passwords, hash_new, id_taken, require_text, wrong_login
from toto._core.stores.record import SESSION_ID_LENGTH_MAX, SessionRecord
from toto._core.stores.session_observer import SessionObserver
from toto._core.stores.session_stores import session_store_of
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import (
    RESERVED_PROPERTIES,
    AccountStore,
    Credentials,
    Database,
    SessionStore,
    StoreUnavailable,
)
from toto._core.stores.user_ids import normalise_user_id
from toto.clientsessioncache import ClientCache
from toto.exceptions import ERROR_INVALID_USER_ID, ERROR_SERVER, TotoException
from toto.session import TotoSession, TotoSessionCache

__all__ = ["AccountStore", "Credentials", "DBConnection", "StoreUnavailable"]

logger = logging.getLogger("toto.session")


class DBConnection:
    """The accounts and sessions of this process. Any thread may use it.

    Every method raises ``TotoException(ERROR_UNAVAILABLE, ...)`` while the database is away. User
    ids are normalised (NFKC, casefold, no spaces around them): ``Ann`` and ``ann`` are one user.

    Args:
        database: where everything is kept.
        settings: lifetimes, limits of login attempts, fields that clients may set.
        clock: gives the seconds since the epoch.
        call: runs a store operation, under a time limit if need be.
    """

    def __init__(
        self,
        database: Database,
        settings: StoreSettings,
        *,
        clock: Callable[[], float] = time.time,
        call: Callable[..., Any] = call_directly,
    ) -> None:
        self.db = database.handle
        """The database driver's own object."""
        self.accounts: AccountStore = database.accounts
        self.counters = database.counters
        self.account_fields: tuple[str, ...] = settings.account_fields
        """The properties that clients may set by account.create and account.update."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._call = call
        self._lifetimes = Lifetimes(settings)
        self._passwords = Passwords(database.counters, settings, call)
        self._session_cache: TotoSessionCache | None = None
        self.session_store: SessionStore = database.sessions
        """Where sessions are kept now."""
        self._observer: SessionObserver | None = None

    def for_call(self, observer: SessionObserver) -> "DBConnection":
        """Return this connection as one call sees it: what the call does, the observer is told."""
        seen = copy.copy(self)
        seen._observer = observer
        return seen

    # -- what the startup function chooses

    def set_session_cache(self, session_cache: TotoSessionCache | None) -> None:
        """Keep sessions in a cache, or with None in the database again.

        With a ``ClientCache`` sessions are ended through the database. With any other cache a
        user's sessions outlast a change of the password, unless it has ``remove_user(user_id)``.
        """
        self._session_cache = session_cache
        self._choose_session_store()

    def set_account_store(self, store: AccountStore) -> None:
        """Keep accounts elsewhere than in the database; sessions and counters stay there."""
        self.accounts = store
        self._choose_session_store()

    # -- accounts

    def create_account(
        self,
        user_id: str,
        password: str,
        additional_values: Mapping[str, Any] | None = None,
        *,
        client_address: str = "",
        **values: Any,
    ) -> None:
        """Create an account. Of two at once with one user id, one is refused.

        Args:
            user_id: at most 256 bytes, normalised, of characters that can be seen.
            password: 1 to 1024 bytes. Any other rule is the application's.
            additional_values: properties; names such as ``password`` are ignored.
            client_address: limits the accounts that are created from there; empty does not.
            values: more properties.

        Raises:
            TotoException: the user id is malformed (1010) or taken (1006), the password is empty
                (1003) or too long (1000), a property cannot be stored (1000), or there were too
                many accounts, with ``retry_after_seconds`` (1103).
        """
        name = normalise_user_id(user_id)
        if name is None:
            raise TotoException(ERROR_INVALID_USER_ID, "Invalid user ID.")
        password_hash = self._passwords.hash_for_account(
            self.accounts, name, password, client_address
        )
        given = {**(additional_values or {}), **values}
        properties = {key: given[key] for key in given if key not in RESERVED_PROPERTIES}
        if not self._storing(self.accounts.create, name, password_hash, properties):
            raise id_taken()
        self._passwords.created(name, client_address)

    def change_password(
        self,
        user_id: str,
        password: str,
        new_password: str,
        *,
        address: str = "",
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        """Change a user's password and end all of the user's sessions.

        Args:
            user_id: the user.
            password: the present password.
            new_password: 1 to 1024 bytes.
            address: the client's; limits the attempts.
            properties: set as well, if the present password is right.

        Raises:
            TotoException: the present password is wrong (1005) or was tried too often (1103), the
                new one is empty (1003) or too long (1000), or a property cannot be stored (1000).
        """
        name = normalise_user_id(user_id)
        require_text(new_password, "new_password")
        credentials = self._passwords.verified(self.accounts, name, password, address)
        if name is None:
            raise wrong_login()
        new_hash = hash_new(new_password, "new_password")
        if properties and not self.update_properties(name, properties):
            raise wrong_login()
        self._set_password(name, new_hash, replaces=credentials.password_hash)

    def generate_password(self, user_id: str) -> str:
        """Give a user a new random password, end all of the user's sessions, and return it.

        It asks for no password: for administrators, and for links sent by mail.

        Raises:
            TotoException: there is no such user (1005).
        """
        name = normalise_user_id(user_id)
        if name is None:
            raise wrong_login()
        password = secret.generate_password()
        self._set_password(name, secret.password_hash(password), replaces=None)
        return password

    def load_properties(self, user_id: str, names: Sequence[str]) -> dict[str, Any] | None:
        """Return properties of an account, or None without one. ``TotoAccount`` is made of it."""
        found: dict[str, Any] | None = self._call(self.accounts.load, user_id, names)
        return found

    def update_properties(self, user_id: str, properties: Mapping[str, Any]) -> bool:
        """Set properties of an account, all or none; False when there is no such account.

        Raises:
            TotoException: a property cannot be stored (1000).
        """
        return bool(self._storing(self.accounts.update, user_id, properties))

    # -- sessions

    def create_session(
        self,
        user_id: str | None = None,
        password: str | None = None,
        verify_password: bool = True,
        key: str | None = None,
        *,
        address: str = "",
        replaces: str = "",
    ) -> TotoSession:
        """Make a session.

        Args:
            user_id: None or empty makes an anonymous session.
            password: the user's.
            verify_password: False skips the check, for other ways to log in; the account must
                exist all the same.
            key: the signing key; a new random one if not given.
            address: the client's; limits the attempts.
            replaces: id of the session that the client presented. It ends once the new one exists:
                an id known before the login must not be one of a logged-in user.

        Raises:
            TotoException: unknown user or wrong password, which look the same (1005); too many
                attempts, with ``retry_after_seconds`` (1103).
        """
        name, generation = None, 0
        if user_id:
            name = normalise_user_id(user_id)
            generation = self._passwords.login(
                self.accounts, name, password, address, verify=verify_password
            ).generation
        session = self._new_session(name, key, generation)
        if replaces:
            self.remove_session(replaces)
        return session

    def retrieve_session(
        self, session_id: str, hmac_data: Any = None, data: Any = None
    ) -> TotoSession | None:
        """Load a live session, and renew it if that is due, which may change its id.

        Args:
            session_id: any text.
            hmac_data: accepted for Toto's sake and ignored: the gateway has checked signatures.
            data: the same.
        """
        del hmac_data, data
        record = self.load_record(session_id)
        return None if record is None else self.adopt_renewed(record)

    def adopt_renewed(self, record: SessionRecord) -> TotoSession | None:
        """Return the session of a record that was loaded already, renewed if that is due.

        None when it has ended meanwhile.
        """
        session = self.adopt(record)
        return None if self._renewed(session) is None else session

    def adopt(self, record: SessionRecord) -> TotoSession:
        """Return the session of a record that was loaded already; it is not renewed."""
        return TotoSession(self, record.as_data())

    def renew(self, session: TotoSession) -> bool:
        """Put off the end of a session in use, if that is due; unsaved variables stay unsaved.

        At most one use in a hundredth of the lifetime writes anything. When the store is away the
        session is left as it is.
        """
        return bool(self._renewed(session))

    def remove_session(self, session_id: str) -> None:
        """End a session; one that does not exist is no error."""
        self._in_session_store(self.session_store.remove, session_id)
        if self._observer is not None:
            self._observer.session_removed(session_id)

    def clear_sessions(self, user_id: str) -> None:
        """End all sessions of a user; one who does not exist is no error."""
        name = normalise_user_id(user_id)
        if name is not None:
            self._call(self.accounts.end_sessions, name)
            self._in_session_store(self.session_store.remove_user, name)
            if self._observer is not None and self._ends_sessions_of_users():
                self._observer.user_cleared(name)

    def load_record(self, session_id: object) -> SessionRecord | None:
        """Return a live session's record, or None; any value is a possible id."""
        if not isinstance(session_id, str) or not 0 < len(session_id) <= SESSION_ID_LENGTH_MAX:
            return None
        found: list[SessionRecord | None] = self._in_session_store(
            self.session_store.load, [session_id]
        )
        return found[0]

    @property
    def is_exchanging(self) -> bool:
        """Whether ``update_record`` compares and writes in one step; not in an own cache."""
        return not isinstance(self.session_store, CacheSessionStore)

    def update_record(
        self, record: SessionRecord, *, replaces: SessionRecord | None = None
    ) -> str | None:
        """Replace a session's record; return its id, or None when the session has ended.

        Args:
            record: the new one.
            replaces: write only if this is the present one; else return None, too.
        """
        session_id: str | None = self._in_session_store(
            self.session_store.update, record, replaces=replaces
        )
        return session_id

    def count(self, key: str, ttl_seconds: float) -> int:
        """Count one under a key and return the sum; the first one starts the key's time."""
        total: int = self._call(self.counters.hit, key, ttl_seconds)
        return total

    def renewed_expiry(self, session: TotoSession) -> float | None:
        """Return the new end of a session in use, or None when it is not due to be renewed."""
        return self._lifetimes.renewed_expiry(session.loaded_record(), self._clock())

    # -- parts

    def _choose_session_store(self) -> None:
        self.session_store = session_store_of(
            self._database,
            self.accounts,
            self.counters,
            self._session_cache,
            self._settings,
            clock=self._clock,
            call=self._call,
        )

    def _ends_sessions_of_users(self) -> bool:
        cache = self._session_cache
        return cache is None or isinstance(cache, ClientCache) or hasattr(cache, "remove_user")

    def _in_session_store(self, fn: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        # The store of client sessions limits the time of what it asks, and accepts tokens for a
        # while when it gets no answer; a limit around it would refuse them.
        if isinstance(self.session_store, ClientSessionStore):
            return fn(*args, **keywords)
        return self._call(fn, *args, **keywords)

    def _storing(self, fn: Callable[..., bool], *args: Any) -> bool:
        try:
            done: bool = self._call(fn, *args)
        except ValueError as error:
            raise TotoException(ERROR_SERVER, str(error)) from error
        return done

    def _set_password(self, name: str, new_hash: str, *, replaces: str | None) -> None:
        # Sessions are ended before, so that no failure leaves a thief's session alive under the
        # new password, and after, for those made meanwhile with the old one.
        self.clear_sessions(name)
        if not self._call(self.accounts.set_password, name, new_hash, replaces=replaces):
            raise wrong_login()
        self.clear_sessions(name)

    def _new_session(self, name: str | None, key: str | None, generation: int) -> TotoSession:
        is_client_store = isinstance(self.session_store, ClientSessionStore)
        record = self._lifetimes.new_record(
            name, key, self._clock(), generation=generation, is_token=is_client_store
        )
        session_id: str = self._in_session_store(self.session_store.create, record)
        # Had the user's sessions been ended since the password was checked, this one would have
        # escaped. A client token carries the generation, and is refused later.
        if name is not None and not is_client_store:
            credentials = self._passwords.credentials(self.accounts, name)
            if credentials is None or credentials.generation != generation:
                self.remove_session(session_id)
                raise wrong_login()
        session = self.adopt(replace(record, session_id=session_id))
        if self._observer is not None:
            self._observer.session_made(session)
        return session

    def _renewed(self, session: TotoSession) -> bool | None:
        """Renew a session if that is due; None when it has ended meanwhile.

        When another process saves it at the same time, it is not renewed: the next use does it.
        """
        expires = self.renewed_expiry(session)
        if expires is None:
            return False
        loaded_id = session.loaded_record().session_id
        try:
            # As it is now: another process may have saved it since it was loaded here.
            latest = self.load_record(loaded_id)
            if latest is None:
                return None
            renewed = replace(latest, expires=expires)
            session_id = self.update_record(renewed, replaces=latest)
            if session_id is None:
                return None if self.load_record(loaded_id) is None else False
        except StoreUnavailable:
            logger.warning("a session could not be renewed: the session store is away")
            return False
        session.rebase(replace(renewed, session_id=session_id))
        return True
