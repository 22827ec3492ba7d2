"""Which signatures a process asks for and gives: the options and hooks applied to ``signing``."""

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from toto._core.failure import CODE_MAX, Failure
from toto._core.hooks import HmacHandlers, HookedHandler
from toto._core.request import Request
from toto._core.signing import (
    SignatureHeaders,
    Verdict,
    nonce_key,
    sign_response_v1,
    sign_response_v2,
    verify_v1,
    verify_v2,
)
from toto._core.stores.record import SessionRecord, session_digest
from toto._core.stores.settings import StoreSettings
from toto.exceptions import TotoException
from toto.session import TotoSession

if TYPE_CHECKING:
    from toto._wire.messages import SessionAnswer

__all__ = ["HMAC_HEADER", "RequestSignatures", "SignedRequest"]

_log = logging.getLogger("toto.session")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")

HMAC_HEADER = "x-toto-hmac"
_NONCE_HEADER = "x-toto-nonce"
_TIMESTAMP_HEADER = "x-toto-timestamp"


class SignedRequest(NamedTuple):
    """What a signature covers, as received. Header names are lower-case."""

    verb: str
    uri: str
    headers: Mapping[str, str]
    body: bytes
    remote_ip: str = ""


class RequestSignatures:
    """Checks requests and signs responses.

    Args:
        is_enabled: option ``hmac_enabled``.
        scheme: option ``hmac_scheme``, ``v1`` or ``v2``.
        handlers: what the application put in the place of either.
    """

    def __init__(self, *, is_enabled: bool, scheme: str, handlers: HmacHandlers) -> None:
        self._is_enabled = is_enabled
        self._is_v2 = scheme == "v2"
        self._handlers = handlers

    @classmethod
    def of(cls, settings: StoreSettings) -> "RequestSignatures":
        """Make those of a process, after its startup function has run."""
        return cls(
            is_enabled=settings.hmac_enabled,
            scheme=settings.hmac_scheme,
            handlers=HookedHandler.hmac_handlers,
        )

    def is_needed(self, record: SessionRecord) -> bool:
        """Tell whether requests of this session must be signed; anonymous ones have no key."""
        return self._is_enabled and record.user_id is not None

    def verify(
        self, record: SessionRecord, request: SignedRequest, *, now: float
    ) -> Failure | None:
        """Return why the request may not run as this session, or None.

        The nonce of scheme v2 is left to the caller, see ``nonce_key``.
        """
        if not self.is_needed(record):
            return None
        if self._handlers.request is not None:
            return self._ask_application(record, request)
        if not record.key:
            return Failure.invalid_hmac()
        if self._is_v2:
            return self._verify_v2(record, request, now)
        given = request.headers.get(HMAC_HEADER, "")
        is_right = verify_v1(record.key, request.verb, request.uri, request.body, given)
        return None if is_right else Failure.invalid_hmac()

    def nonce_key(self, record: SessionRecord, request: SignedRequest) -> str | None:
        """Return the key under which a verified request's nonce is counted; None without one."""
        if not self._is_v2 or self._handlers.request is not None or not self.is_needed(record):
            return None
        return nonce_key(
            session_digest(record.token_id or record.session_id), request.headers[_NONCE_HEADER]
        )

    def sign_response(
        self, answer: "SessionAnswer", request_headers: Mapping[str, str], body: bytes
    ) -> str | None:
        """Return the response's ``x-toto-hmac``; None when it carries none."""
        if not self._is_enabled or answer.user_id is None or not answer.key:
            return None
        if self._handlers.response is not None:
            data = {
                "session_id": answer.session_id,
                "user_id": answer.user_id,
                "expires": answer.expires,
                "key": answer.key,
            }
            return self._signed_by_application(TotoSession(None, data), body)
        nonce = request_headers.get(_NONCE_HEADER, "")
        if self._is_v2:
            return sign_response_v2(answer.key, nonce, answer.session_id, body)
        return sign_response_v1(answer.key, answer.session_id, body)

    def _verify_v2(
        self, record: SessionRecord, request: SignedRequest, now: float
    ) -> Failure | None:
        headers = request.headers
        outcome = verify_v2(
            record.key,
            SignatureHeaders(
                headers.get(_TIMESTAMP_HEADER), headers.get(_NONCE_HEADER), headers.get(HMAC_HEADER)
            ),
            request.verb,
            request.uri,
            headers.get("content-type", ""),
            request.body,
            now,
        )
        if outcome.verdict is Verdict.OK:
            return None
        if outcome.verdict is Verdict.CLOCK_OFF:
            return Failure.invalid_hmac(clock_offset_seconds=outcome.clock_offset_seconds)
        return Failure.invalid_hmac()

    def _signed_by_application(self, session: TotoSession, body: bytes) -> str | None:
        sign = self._handlers.response
        try:
            signature = None if sign is None else sign(session, body)
        except BaseException:  # noqa: BLE001  # the edge: the user's code
            _log.exception("the response hmac handler failed")
            return None
        if not isinstance(signature, str) or not _HEADER_VALUE.fullmatch(signature):
            _log.error("the response hmac handler gave no text that a header can hold")
            return None
        return signature

    def _ask_application(self, record: SessionRecord, request: SignedRequest) -> Failure | None:
        handler = self._handlers.request
        if handler is None:
            raise RuntimeError("the application has no handler")
        headers = dict(request.headers)
        shown = Request(
            request.verb,
            request.uri,
            headers,
            request.body,
            request.remote_ip,
            headers.get("content-type", ""),
        )
        try:
            is_right = handler(TotoSession(None, record.as_data()), shown, headers)
        except TotoException as error:
            return _failure_of(error)
        except BaseException:  # noqa: BLE001  # the edge: the user's code; closed is safe
            _log.exception("the hmac handler failed")
            return Failure.invalid_hmac()
        # Anything else, such as what an async function returns, is not a yes.
        return None if is_right is None or is_right is True else Failure.invalid_hmac()


def _failure_of(error: TotoException) -> Failure:
    code = error.code
    fits = type(code) is int and 0 < code <= CODE_MAX
    return Failure(code, str(error.value)) if fits else Failure.invalid_hmac()
