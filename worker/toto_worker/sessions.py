"""The session of one call: what the gateway loaded, what the method does to it, what goes back."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toto._core.request_signatures import RequestSignatures, SignedRequest
from toto._core.signing import NONCE_TTL_SECONDS
from toto._core.stores.record import SessionRecord, pack, unpack
from toto._core.stores.serializer import read_state
from toto._core.stores.session_fields import check_session_fields
from toto._wire.constants import Origin, Policy
from toto._wire.messages import RequestInfo, SessionAnswer, SessionInfo
from toto.exceptions import (
    ERROR_INVALID_HMAC,
    ERROR_INVALID_SESSION_ID,
    ERROR_UNAVAILABLE,
    TotoException,
)
from toto.session import TotoSession, apply_changes

if TYPE_CHECKING:
    from toto.dbconnection import DBConnection

__all__ = ["CallSessions", "SessionServices"]

_TEXTS = {
    ERROR_INVALID_HMAC: "Invalid HMAC",
    ERROR_UNAVAILABLE: "The session store is not available.",
}


@dataclass(frozen=True, slots=True)
class SessionServices:
    """What all calls of a worker share."""

    connection: "DBConnection"
    signatures: RequestSignatures

    def for_call(self, info: RequestInfo, body: bytes) -> "CallSessions":
        """Return the sessions of one call."""
        return CallSessions(info, body, self.connection, self.signatures)


class CallSessions:
    """The ``SessionPort`` and the ``SessionObserver`` of one call.

    In a batch every member begins with the same session, and the gateway applies what they saved
    when all have ended; so ``save`` there keeps the changes instead of storing them.

    Args:
        info: the call's request, with the session the gateway has loaded.
        body: the request's body; of a member of a batch its own document.
        connection: accounts and sessions.
        signatures: checks the request against the key of a session that the gateway did not load.
    """

    def __init__(
        self,
        info: RequestInfo,
        body: bytes,
        connection: "DBConnection",
        signatures: RequestSignatures,
    ) -> None:
        self._info = info
        self._body = body
        self._shared_connection = connection
        self._own_connection: DBConnection | None = None
        self._signatures = signatures
        self._session: TotoSession | None = None
        self._own: TotoSession | None = None
        """The session the call came with, once it was asked for."""
        self._is_own_ended = False
        self._ended: list[TotoSession] = []
        self._made: list[TotoSession] = []
        self._saved = b""

    # -- SessionPort

    @property
    def connection(self) -> "DBConnection":
        """The accounts and sessions of this worker, as this call sees them."""
        if self._own_connection is None:
            self._own_connection = self._shared_connection.for_call(self)
        return self._own_connection

    @property
    def session(self) -> TotoSession | None:
        """The session the method has asked for or made."""
        return self._session

    @session.setter
    def session(self, session: TotoSession | None) -> None:
        if session is not None and not isinstance(session, TotoSession):
            raise TypeError("handler.session must be a TotoSession or None")
        # A method may drop a session that goes on, only not to tell of it.
        self._session = session

    def prepare(self, policy: int) -> None:
        """Do what the method's decorators are going to ask for; called off the event loop.

        Raises:
            TotoException: as the decorators would.
        """
        if self._info.session.packed or self._info.session.error:
            self.retrieve(None)
        elif policy & Policy.CREATES and not policy & Policy.USER:
            self.create(None, None, False)

    def retrieve(self, session_id: str | None) -> TotoSession | None:
        """Return the caller's session, or that of another id.

        Raises:
            TotoException: the gateway found the signature wrong, or the store away.
        """
        session = self._session
        if session is not None and session_id in (None, session.session_id):
            return None if self._has_ended(session) else session
        if session_id is not None and not self._is_own_id(session_id):
            self._session = self._load_other(session_id)
        else:
            self._session = None if self._is_own_ended else self._load_own()
        return self._session

    def create(self, user_id: str | None, password: str | None, verify: bool) -> TotoSession:
        """Make a session; one of a user ends the sessions the call has had so far."""
        before = self._session
        ends_own = bool(user_id and self._info.session.packed and not self._is_own_ended)
        session = self.connection.create_session(
            user_id,
            password,
            verify,
            address=self._info.remote_ip,
            replaces=self._own_id() if ends_own else "",
        )
        if before is self._own or (before is not None and self._has_ended(before)):
            before = None
        if user_id and before is not None:
            self.connection.remove_session(before.session_id)
        self._session = session
        return session

    # -- calls of other methods

    def carried(self) -> tuple[SessionInfo, TotoSession | None]:
        """Return the session that goes along when the method calls another one.

        It is the session as it is stored: what the method has not saved stays with it. The second
        is None while the method has not asked for the session that its call came with.
        """
        session = self._session
        if session is not None and not self._has_ended(session):
            packed = pack(session.loaded_record())
            return SessionInfo(session.session_id, packed), session
        return (SessionInfo() if self._is_own_ended else self._info.session), None

    def adopt_nested(
        self, answer: SessionAnswer | None, carried: TotoSession | None, *, is_ended: bool
    ) -> None:
        """Take over what the other method did: its login, what it saved, or its logout.

        Args:
            answer: the session that it ended with. One that it has loaded by its id is its own
                affair, and is not taken over.
            carried: the session that went along; by now the method may have another one.
            is_ended: the other method has ended the one that went along.

        Raises:
            TotoException: what it sent cannot be read.
        """
        if is_ended and carried is None:
            self._is_own_ended = True
        elif is_ended and carried is not None:
            self.session_removed(carried.session_id)
        if answer is None or not answer.changes or answer.origin == Origin.LOADED:
            return
        try:
            record = unpack(answer.changes, answer.session_id)
        except ValueError:
            raise TotoException(ERROR_INVALID_SESSION_ID, "Invalid session ID.") from None
        if answer.origin == Origin.MADE:
            self._session = self.connection.adopt(record)
            self._made.append(self._session)
        elif carried is None or carried is self._own:
            self._bring_own_up_to(record)
        elif not self._has_ended(carried):
            carried.rebase(record)

    def _bring_own_up_to(self, record: SessionRecord) -> None:
        if self._is_own_ended:
            return
        is_in_batch = self._info.batch_key is not None
        own = self._own
        if own is None and is_in_batch:
            own = self._load_own()
        elif own is None:
            own = self._own = self._adopt_own(record)
        if own is None:
            return
        if self._session is None:
            # The client has to hear of it: with tokens the session's id has changed.
            self._session = own
        if is_in_batch:
            self._keep_nested(own, record)
        else:
            own.rebase(record)

    def _keep_nested(self, own: TotoSession, record: SessionRecord) -> None:
        """In a batch: what the other method saved is saved with the rest, when all have ended."""
        unsaved = own.changes()
        own.state = read_state(apply_changes(record.state, [self._saved]))
        self._saved = own.changes()
        own.state = read_state(apply_changes(record.state, [unsaved]))

    # -- SessionObserver

    def session_made(self, session: TotoSession) -> None:
        """Remember that the method made this session."""
        self._made.append(session)

    def session_removed(self, session_id: str) -> None:
        """Remember that this session has ended."""
        if self._is_own_id(session_id):
            self._is_own_ended = True
        self._ended += [known for known in self._known() if known.session_id == session_id]

    def user_cleared(self, user_id: str) -> None:
        """Remember that the user's sessions have ended."""
        own = self._own_record()
        if own is not None and own.user_id == user_id:
            self._is_own_ended = True
        self._ended += [
            known for known in self._known() if known.loaded_record().user_id == user_id
        ]

    # -- what the call ends with

    @property
    def is_own_ended(self) -> bool:
        """True when the method ended the session that the call came with."""
        return self._is_own_ended

    def answer(self) -> SessionAnswer | None:
        """Return what the client and the gateway are told of the session.

        Raises:
            TotoException: the method has set a field of the session, or ``handler.session``
                itself, to what cannot be sent (1000).
        """
        session = self._session
        if session is None or self._has_ended(session):
            return None
        check_session_fields(session)
        is_own, is_made = session is self._own, any(session is made for made in self._made)
        return SessionAnswer(
            session.session_id,
            session.user_id or None,
            float(session.expires),
            session.key,
            origin=Origin.OWN if is_own else Origin.MADE if is_made else Origin.LOADED,
            changes=self._told_changes(session, is_own=is_own),
        )

    # -- inside

    def _told_changes(self, session: TotoSession, *, is_own: bool) -> bytes:
        if self._info.is_nested:
            # The method that made this call goes on with the session as it is now.
            return pack(session.loaded_record())
        return self._saved if is_own else b""

    def _known(self) -> list[TotoSession]:
        return self._made if self._session is None else [*self._made, self._session]

    def _has_ended(self, session: TotoSession) -> bool:
        if session is self._own:
            return self._is_own_ended
        return any(session is ended for ended in self._ended)

    def _own_id(self) -> str:
        return self._info.session.session_id if self._own is None else self._own.session_id

    def _is_own_id(self, session_id: str) -> bool:
        # A client token changes with every save, and all of them are the same session's.
        is_given = bool(session_id) and session_id == self._info.session.session_id
        return is_given or (self._own is not None and session_id == self._own.session_id)

    def _own_record(self) -> SessionRecord | None:
        """Return the record that the gateway has loaded."""
        given = self._info.session
        if not given.packed:
            return None
        try:
            return unpack(given.packed, given.session_id)
        except ValueError:
            raise TotoException(ERROR_INVALID_SESSION_ID, "Invalid session ID.") from None

    def _load_own(self) -> TotoSession | None:
        if self._own is not None:
            return self._own
        error = self._info.session.error
        if error:
            raise TotoException(error, _TEXTS.get(error, "Not authorized"))
        record = self._own_record()
        if record is None:
            return None
        session = self._own = self._adopt_own(record)
        if self._info.batch_key is None:
            self.connection.renew(session)
        else:
            session.expires = self.connection.renewed_expiry(session) or session.expires
        return session

    def _adopt_own(self, record: SessionRecord) -> TotoSession:
        session = self.connection.adopt(record)
        if self._info.batch_key is not None:
            session._saver = self._keep_changes
        return session

    def _keep_changes(self, session: TotoSession) -> None:
        self._saved = session.changes()

    def _load_other(self, session_id: str) -> TotoSession | None:
        record = self.connection.load_record(session_id)
        if record is None:
            return None
        # Who cannot sign for the session must not prolong it either.
        self._check_signature(record)
        return self.connection.adopt_renewed(record)

    def _check_signature(self, record: SessionRecord) -> None:
        """The gateway has checked the signature with the key of its own session only."""
        info = self._info
        if not self._signatures.is_needed(record):
            return
        if info.batch_key is not None:
            raise TotoException(ERROR_INVALID_HMAC, "Invalid HMAC")  # it covers the whole batch
        headers = {name.lower(): value for name, value in reversed(info.headers)}
        request = SignedRequest(info.verb, info.uri, headers, self._body, info.remote_ip)
        failure = self._signatures.verify(record, request, now=time.time())
        if failure is not None:
            raise TotoException(failure.code, failure.value)
        nonce = self._signatures.nonce_key(record, request)
        if nonce is not None and self.connection.count(nonce, NONCE_TTL_SECONDS) > 1:
            raise TotoException(ERROR_INVALID_HMAC, "Invalid HMAC")
