"""Sessions and accounts as methods see them, and the base class of session caches."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import msgpack

from toto._core.stores.changes import apply_changes, bring_up_to, changes_between
from toto._core.stores.dictionary_like import MISSING, DictionaryLike
from toto._core.stores.passwords import wrong_login
from toto._core.stores.record import SessionRecord, generate_session_id
from toto._core.stores.saving import Records, save_change
from toto._core.stores.serializer import Serializing, read_state
from toto._core.stores.session_fields import check_session_fields
from toto._core.stores.store import RESERVED_PROPERTIES
from toto.exceptions import (
    ERROR_INVALID_SESSION_ID,
    ERROR_SERVER,
    TotoException,
)

__all__ = ["SessionDatabase", "TotoAccount", "TotoSession", "TotoSessionCache", "apply_changes"]

logger = logging.getLogger("toto.session")


class SessionDatabase(Records, Protocol):
    """What sessions and accounts need of a ``DBConnection``."""

    def load_properties(self, user_id: str, names: Sequence[str]) -> dict[str, Any] | None:
        """Return properties of an account, or None when there is no such account."""

    def update_properties(self, user_id: str, properties: Mapping[str, Any]) -> bool:
        """Set properties of an account; False when there is no such account."""


class TotoSessionCache(Serializing):
    """Keeps sessions apart from accounts; derive from it and give it to ``set_session_cache``.

    Any thread may call the methods. They may raise anything: the client is told that the session
    store is away, and the log why.
    """

    def store_session(self, session_data: dict[str, Any]) -> str | None:
        """Keep a session until ``expires``, in the place of an earlier one of the same id.

        Args:
            session_data: what ``TotoSession.session_data`` returns. ``state`` is bytes.

        Returns:
            A new session id, if the cache chooses ids itself; then ``load_session`` must return
            that id, or none, in ``session_id``. Anything false keeps the id.
        """
        raise NotImplementedError

    def load_session(self, session_id: str) -> dict[str, Any] | None:
        """Return the dictionary that was stored under an id, or None."""
        raise NotImplementedError

    def remove_session(self, session_id: str) -> None:
        """End a session. Without an implementation it lasts until it expires."""
        logger.debug("%s does not implement remove_session", type(self).__name__)


class TotoSession(DictionaryLike, Serializing):
    """A session: dictionary-like over its variables, which ``save`` keeps.

    Args:
        db: the ``DBConnection``; None for a session without a database.
        session_data: as ``session_data()`` returns it. ``session_id`` and ``expires`` are needed;
            ``state`` may be bytes, text, or a dictionary.
        session_cache: where to keep the session instead of the database.
        key: the signing key, in the place of that of ``session_data``.

    Raises:
        ValueError: ``session_data`` lacks a field, or one has the wrong type.
    """

    def __init__(
        self,
        db: SessionDatabase | None,
        session_data: Mapping[str, Any],
        session_cache: TotoSessionCache | None = None,
        key: str | None = None,
    ) -> None:
        state = session_data.get("state") or b""
        if isinstance(state, Mapping):
            state = self.dumps(dict(state))
        data = {**session_data, "state": state.encode() if isinstance(state, str) else state}
        record = SessionRecord.from_data(data if key is None else {**data, "key": key})
        self.session_id = record.session_id
        self.user_id = record.user_id
        """None for an anonymous session."""
        self.created = record.created
        """Seconds since the epoch, as ``expires``; 0 when it is not known."""
        self.expires = record.expires
        self.key = record.key
        """Signs requests and responses."""
        self._db = db
        self._session_cache = session_cache
        self._loaded = record
        self._variables: dict[Any, Any] | None = None  # loaded when first asked for
        self._account: TotoAccount | None = None
        self._saver: Callable[[TotoSession], None] | None = None
        """Internal. ``save`` calls it instead of storing anything: a worker sets it in a batch,
        takes ``changes()`` at the end, and the changes of all members are applied in order."""

    def __repr__(self) -> str:
        # The id and the key are as good as a password, and the variables are nobody's business.
        return f"TotoSession(user_id={self.user_id!r}, expires={self.expires!r})"

    @classmethod
    def generate_id(cls) -> str:
        """Return a new session id: 22 URL-safe characters from 16 random bytes."""
        return generate_session_id()

    @property
    def state(self) -> dict[Any, Any]:
        """The session's variables.

        Raises:
            TotoException: what was stored cannot be read, for instance because ``set_serializer``
                was called with another module since. It is not taken for empty: the next ``save``
                would lose it.
        """
        if self._variables is None:
            self._variables = read_state(self._loaded.state)
        return self._variables

    @state.setter
    def state(self, state: Mapping[Any, Any]) -> None:
        self._variables = dict(state)

    def record(self) -> SessionRecord:
        """Return the session as an immutable value, its variables serialised.

        Raises:
            TotoException: a field or a variable is of a type that cannot be stored (1000).
        """
        check_session_fields(self)
        return replace(
            self._loaded,
            session_id=self.session_id,
            user_id=self.user_id or None,
            created=self.created,
            expires=self.expires,
            key=self.key,
            state=self._dumped(),
        )

    def session_data(self) -> dict[str, Any]:
        """Return what a ``TotoSessionCache`` stores; ``state`` is serialised."""
        return self.record().as_data()

    def save(self) -> None:
        """Keep what was changed in the session since it was loaded, or saved last.

        What others have saved meanwhile stays, and is in the session afterwards; of a variable
        that both have changed, the value of this call. (For a counter that is not enough: count
        with an atomic operation of a store of your own.) With a ``TotoSessionCache`` the last of
        two that save at the same moment may undo the other's. A cache that chooses ids may change
        ``session_id``.

        Raises:
            TotoException: the session has ended meanwhile (1007), a variable cannot be serialised
                (1000), or the store is away (1107).
        """
        if self._saver is not None:
            self._saver(self)
            return
        record = self.record()
        if self._session_cache is not None:
            session_id = self._session_cache.store_session(record.as_data())
            saved: SessionRecord | None = replace(
                record, session_id=session_id or record.session_id
            )
        elif self._db is not None:
            saved = self._saved(self._db, record)
        else:
            raise _has_no_store()
        if saved is None:
            raise TotoException(ERROR_INVALID_SESSION_ID, "The session has ended.")
        if saved == replace(record, session_id=saved.session_id):
            self.mark_saved(saved)
        else:
            self.rebase(saved)

    def refresh(self) -> None:
        """Load the session again; unsaved changes are lost.

        Raises:
            TotoException: the session has ended (1007), or the store is away (1107).
        """
        record: SessionRecord | None = None
        if self._session_cache is not None:
            record = self._cached(self._session_cache)
        elif self._db is not None:
            record = self._db.load_record(self.session_id)
        else:
            raise _has_no_store()
        if record is None:
            raise TotoException(ERROR_INVALID_SESSION_ID, "The session has ended.")
        self.mark_saved(record)
        self.user_id, self.created, self.key = record.user_id, record.created, record.key
        self._variables = None

    def get_account(self, *args: str) -> "TotoAccount | None":
        """Return the account of the session's user, or None for an anonymous session.

        Args:
            args: properties to load at once.
        """
        if not self.user_id:
            return None
        if self._account is None:
            self._account = TotoAccount(self)
        if args:
            self._account.load_property(*args)
        return self._account

    def changes(self) -> bytes:
        """Return what differs from the variables as loaded, for ``apply_changes``.

        Changes within a list are found. Empty when nothing has changed.
        """
        if self._variables is None or self._dumped() == self._loaded.state:
            return b""
        return changes_between(read_state(self._loaded.state), self._variables)

    def loaded_record(self) -> SessionRecord:
        """Return the record as it was loaded or saved last. Internal."""
        return self._loaded

    def mark_saved(self, record: SessionRecord) -> None:
        """Take note that the store holds this record now. Internal."""
        self._loaded = record
        self.session_id, self.expires = record.session_id, record.expires

    def rebase(self, record: SessionRecord) -> None:
        """Go on from a newer record, with what was changed here and not saved. Internal."""
        changes, before = self.changes(), self._loaded
        names = ("session_id", "user_id", "created", "expires", "key")
        unsaved = {name: getattr(self, name) for name in names}
        self.mark_saved(record)
        for name in names:
            is_changed = unsaved[name] != getattr(before, name)
            setattr(self, name, unsaved[name] if is_changed else getattr(record, name))
        if self._variables is not None:
            bring_up_to(self._variables, read_state(apply_changes(record.state, [changes])))

    def _saved(self, database: SessionDatabase, record: SessionRecord) -> SessionRecord | None:
        loaded = self._loaded
        if record.session_id != loaded.session_id:
            # A method has set another id: there is nothing of that session to go on from.
            session_id = database.update_record(record)
            return None if session_id is None else replace(record, session_id=session_id)
        fields = {
            name: getattr(record, name)
            for name in ("user_id", "created", "expires", "key")
            if getattr(record, name) != getattr(loaded, name)
        }

        def change(present: SessionRecord) -> SessionRecord:
            if present is loaded:
                return record
            state = apply_changes(present.state, [self.changes()])
            return replace(present, **fields, state=state)

        return save_change(database, loaded, change)

    def _cached(self, cache: TotoSessionCache) -> SessionRecord | None:
        data = cache.load_session(self.session_id)
        if data is None or data.get("session_id", self.session_id) != self.session_id:
            return None
        return TotoSession(None, {**data, "session_id": self.session_id}).record()

    def _dumped(self) -> bytes:
        if self._variables is None:
            return self._loaded.state
        return self.dumps(self._variables) if self._variables else b""

    def _lookup(self, key: Any) -> Any:
        return self.state.get(key, MISSING)

    def _assign(self, key: Any, value: Any) -> None:
        self.state[key] = value

    def _discard(self, key: Any) -> None:
        self.state.pop(key, None)

    def _present(self) -> dict[Any, Any]:
        return self.state


class TotoAccount(DictionaryLike):
    """The account of a session's user: dictionary-like over its properties.

    A property is loaded when it is first read. None and missing are the same. ``keys``, ``len``
    and the like tell of what was loaded or set so far.

    Args:
        session: a session of a user, with a database.

    Every method that asks the database raises a ``TotoException``: the account is gone (1005), or
    the database is away (1107).
    """

    def __init__(self, session: TotoSession) -> None:
        if session._db is None:
            raise _has_no_store()
        if not session.user_id:
            raise TotoException(ERROR_SERVER, "An anonymous session has no account.")
        self._db = session._db
        self._user_id: str = session.user_id
        self._properties: dict[str, Any] = {}
        self._saved: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"TotoAccount(user_id={self._user_id!r})"

    @property
    def user_id(self) -> str:
        """The normalised user id."""
        return self._user_id

    def load_property(self, *args: str) -> None:
        """Load properties in one round trip, again if need be; unsaved changes are kept."""
        changed = self._changed()
        names = [name for name in args if name not in changed]
        if not names:
            return
        loaded = self._db.load_properties(self._user_id, names)
        if loaded is None:
            raise wrong_login()
        for name in names:
            self._properties[name] = loaded.get(name)
            self._saved[name] = _fingerprint(loaded.get(name))

    def save(self) -> None:
        """Write the changed properties, and no others."""
        changed = self._changed()
        if not changed:
            return
        if not self._db.update_properties(self._user_id, changed):
            raise wrong_login()
        for name, value in changed.items():
            self._saved[name] = _fingerprint(value)

    def _changed(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in self._properties.items()
            if self._saved.get(name) != _fingerprint(value)
        }

    def _lookup(self, key: Any) -> Any:
        if key not in self._properties:
            self.load_property(key)
        value = self._properties[key]
        return MISSING if value is None else value

    def _assign(self, key: Any, value: Any) -> None:
        if key in RESERVED_PROPERTIES:
            raise TotoException(ERROR_SERVER, f"The property {key!r} cannot be set.")
        self._properties[key] = value

    def _discard(self, key: Any) -> None:
        self._assign(key, None)

    def _present(self) -> dict[Any, Any]:
        return {name: value for name, value in self._properties.items() if value is not None}


def _fingerprint(value: Any) -> bytes:
    """Return bytes that differ when the values do, deep inside and in type, too."""
    packed: bytes = msgpack.packb(value, default=repr, unicode_errors="surrogatepass")
    return packed


def _has_no_store() -> TotoException:
    return TotoException(ERROR_SERVER, "The session has neither a database nor a session cache.")
