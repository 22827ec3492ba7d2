"""The session of one call: what the gateway loaded, what the method does to it, what goes back."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toto._core.request_signatures import RequestSignatures, SignedRequest
from toto._core.signing import NONCE_TTL_SECONDS
from toto._core.stores.record import SessionRecord, unpack
from toto._core.stores.store import StoreUnavailable
from toto._wire.constants import Origin, Policy
from toto._wire.messages import RequestInfo, SessionAnswer
from toto.exceptions import (
    ERROR_INVALID_HMAC,
    ERROR_INVALID_SESSION_ID,
    ERROR_UNAVAILABLE,
    TotoException,
)

if TYPE_CHECKING:
    from toto.dbconnection import DBConnection
    from toto.session import TotoSession

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
    """The ``SessionPort`` of one call.

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
        self._connection = connection
        self._signatures = signatures
        self._session: TotoSession | None = None
        self._own: TotoSession | None = None
        """The session the call came with, once it was asked for."""
        self._is_own_ended = False
        self._is_made = False
        self._saved = b""

    @property
    def connection(self) -> "DBConnection":
        """The accounts and sessions of this worker."""
        return self._connection

    @property
    def session(self) -> "TotoSession | None":
        """The session the method has asked for or made."""
        return self._session

    @session.setter
    def session(self, session: "TotoSession | None") -> None:
        if session is None and self._session is not None and self._session is self._own:
            self._is_own_ended = self._has_own_ended()
        self._session = session

    def prepare(self, policy: int) -> None:
        """Do what the method's decorators are going to ask for; called off the event loop.

        Raises:
            TotoException: as the decorators would.
        """
        if self._info.session.packed or self._info.session.error:
            self.retrieve(None)
        elif policy & Policy.CREATES:
            self.create(None, None, False)

    def retrieve(self, session_id: str | None) -> "TotoSession | None":
        """Return the caller's session, or that of another id.

        Raises:
            TotoException: the gateway found the signature wrong, or the store away.
        """
        session = self._session
        if session is not None and session_id in (None, session.session_id):
            return session
        if session_id is not None and session_id != self._info.session.session_id:
            self._session, self._is_made = self._load_other(session_id), False
        elif not self._is_own_ended:
            self._session = self._load_own()
        return self._session

    def create(self, user_id: str | None, password: str | None, verify: bool) -> "TotoSession":
        """Make a session; one of a user ends the sessions the call has had so far."""
        before = self._session
        ends_own = bool(user_id and self._info.session.packed and not self._is_own_ended)
        session = self._connection.create_session(
            user_id,
            password,
            verify,
            address=self._info.remote_ip,
            replaces=self._own_id() if ends_own else "",
        )
        self._is_own_ended = self._is_own_ended or ends_own
        if user_id and before is not None and before is not self._own:
            self._connection.remove_session(before.session_id)
        self._session, self._is_made = session, True
        return session

    @property
    def is_own_ended(self) -> bool:
        """True when the method ended the session that the call came with."""
        return self._is_own_ended

    def answer(self) -> SessionAnswer | None:
        """Return what the client and the gateway are told of the session."""
        session = self._session
        if session is None:
            return None
        is_own = session is self._own
        return SessionAnswer(
            session.session_id,
            session.user_id,
            float(session.expires),
            session.key,
            origin=Origin.OWN if is_own else Origin.MADE if self._is_made else Origin.LOADED,
            changes=self._saved if is_own else b"",
        )

    # -- inside

    def _has_own_ended(self) -> bool:
        # A method may drop a session that goes on, only not to tell of it.
        try:
            return self._connection.load_record(self._own_id()) is None
        except StoreUnavailable:
            return False

    def _own_id(self) -> str:
        return self._info.session.session_id if self._own is None else self._own.session_id

    def _load_own(self) -> "TotoSession | None":
        given = self._info.session
        if given.error:
            raise TotoException(given.error, _TEXTS.get(given.error, "Not authorized"))
        if not given.packed:
            return None
        try:
            record = unpack(given.packed, given.session_id)
        except ValueError:
            raise TotoException(ERROR_INVALID_SESSION_ID, "Invalid session ID.") from None
        session = self._own = self._connection.adopt(record)
        if self._info.batch_key is None:
            self._connection.renew(session)
        else:
            session._saver = self._keep_changes
            session.expires = self._connection.renewed_expiry(session) or session.expires
        return session

    def _keep_changes(self, session: "TotoSession") -> None:
        self._saved = session.changes()

    def _load_other(self, session_id: str) -> "TotoSession | None":
        session = self._connection.retrieve_session(session_id)
        if session is None:
            return None
        self._check_signature(session.record())
        return session

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
        if nonce is not None and self._connection.count(nonce, NONCE_TTL_SECONDS) > 1:
            raise TotoException(ERROR_INVALID_HMAC, "Invalid HMAC")
