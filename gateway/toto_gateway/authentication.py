"""Whose request it is: the credential is loaded and the signature checked, once and before anything
runs (Toto assigned the session first, and a batch's next member was then authenticated)."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from toto._core.failure import Failure
from toto._core.request_signatures import RequestSignatures, SignedRequest
from toto._core.signing import NONCE_TTL_SECONDS
from toto._core.stores.record import SessionRecord, pack
from toto._core.stores.serializer import STATE_BYTES_MAX
from toto._core.stores.store import StoreUnavailable
from toto._wire.constants import Policy
from toto._wire.messages import SessionInfo
from toto.exceptions import ERROR_SERVER
from toto_gateway.request import Request

__all__ = ["NOBODY", "Authenticator", "Caller", "CountHit", "KnownCredential", "SessionSource"]

_log = logging.getLogger("toto.session")

PACKED_BYTES_MAX = STATE_BYTES_MAX + 64 * 1024
"""Of a session with its token: more does not fit into a frame. Only a cache of the application's
own can hold such a one."""

CountHit = Callable[[str, float], Awaitable[int]]
"""Counts a key for so many seconds, and returns the sum."""


class SessionSource(Protocol):
    """Where sessions are loaded from."""

    async def load(self, session_id: str) -> SessionRecord | None:
        """Return the live session of an id.

        Raises:
            StoreUnavailable: nobody can tell now.
        """


@dataclass(frozen=True, slots=True)
class Caller:
    """What became of a request's credential."""

    info: SessionInfo
    """What the worker is told."""
    record: SessionRecord | None = None
    failure: Failure | None = None
    """Why there is no session, when that is more than that there is none."""
    is_by_parameter: bool = False
    """The session id stood in the parameters of one call."""

    def refusal(self, policy: int) -> Failure | None:
        """Return why a method of this policy may not run, or None."""
        if policy & Policy.SESSION and self.failure is not None:
            return self.failure
        if policy & Policy.USER and (self.record is None or self.record.user_id is None):
            return Failure.not_authorized()
        return None


NOBODY = Caller(SessionInfo())


@dataclass(frozen=True, slots=True)
class KnownCredential:
    """A credential that was presented once for many calls: that of a WebSocket."""

    session_id: str = ""
    is_signed: bool = False
    """The signature was right, or the session was made for this client."""
    is_cookie: bool = False
    failure: Failure | None = None
    """Why it does not count."""


class Authenticator:
    """Turns credentials into callers.

    Args:
        source: loads sessions.
        signatures: checks requests.
        count_hit: remembers nonces.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        source: SessionSource,
        signatures: RequestSignatures,
        count_hit: CountHit,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._signatures = signatures
        self._count_hit = count_hit
        self._clock = clock

    async def authenticate(self, request: Request, session_id: str) -> Caller:
        """Return who presents a session id; one that is unknown or expired is nobody's."""
        if not session_id:
            return NOBODY
        try:
            record = await self._source.load(session_id)
            if record is None:
                return NOBODY
            failure = await self._check_signature(record, request)
        except StoreUnavailable:
            return _refused(Failure.unavailable())
        return _refused(failure) if failure is not None else _caller_of(session_id, record)

    async def reload(self, known: KnownCredential) -> Caller:
        """Return whose a credential is by now, without its signature, which was checked before."""
        if known.failure is not None:
            return _refused(known.failure)
        if not known.session_id:
            return NOBODY
        try:
            record = await self._source.load(known.session_id)
        except StoreUnavailable:
            return _refused(Failure.unavailable())
        if record is None:
            return NOBODY
        if not known.is_signed and self._signatures.is_needed(record):
            # It was an anonymous one's, for which nobody signs.
            return _refused(Failure.invalid_hmac())
        return _caller_of(known.session_id, record)

    async def _check_signature(self, record: SessionRecord, request: Request) -> Failure | None:
        if not self._signatures.is_needed(record):
            return None
        signed = SignedRequest(
            request.verb,
            request.uri,
            request.header_map(),
            request.body,
            request.remote_ip,
        )
        failure = self._signatures.verify(record, signed, now=self._clock())
        nonce = None if failure else self._signatures.nonce_key(record, signed)
        if nonce is not None and await self._count_hit(nonce, NONCE_TTL_SECONDS) > 1:
            return Failure.invalid_hmac()
        return failure


def _caller_of(session_id: str, record: SessionRecord) -> Caller:
    packed = pack(record)
    if len(packed) > PACKED_BYTES_MAX:
        _log.error("a session of %d bytes is too large to be sent to a worker", len(packed))
        return _refused(Failure(ERROR_SERVER, "The session is too large."))
    return Caller(SessionInfo(session_id, packed), record)


def _refused(failure: Failure) -> Caller:
    return Caller(SessionInfo(error=failure.code), None, failure)
