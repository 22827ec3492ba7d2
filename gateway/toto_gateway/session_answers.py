"""What an answer carries of its session: the cookie and the signature."""

import logging
import time
from collections.abc import Callable

from toto._core.request_signatures import HMAC_HEADER, RequestSignatures
from toto._core.stores.record import SessionRecord
from toto._wire.constants import Origin
from toto._wire.messages import SessionAnswer
from toto_gateway.authentication import Caller
from toto_gateway.request import Request
from toto_gateway.sessions.cookies import SessionCookie

__all__ = ["SessionAnswers"]

_log = logging.getLogger("toto.session")

Headers = list[tuple[str, str]]

NO_STORE = ("Cache-Control", "no-store")
"""An answer that tells of a session is for its client alone."""


class SessionAnswers:
    """Makes the headers of answers that tell of a session.

    Args:
        signatures: signs answers.
        cookie: carries the session in cookie mode.
        on_ended: told of the caller's session when a method has ended it.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        signatures: RequestSignatures,
        cookie: SessionCookie | None,
        on_ended: Callable[[SessionRecord], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._signatures = signatures
        self._cookie = cookie
        self._on_ended = on_ended
        self._clock = clock

    def cookie_headers(
        self, caller: Caller, session: SessionAnswer | None, *, is_ended: bool
    ) -> Headers:
        """Return the header that sets or clears the cookie, if there is one to send.

        A session that was named in the parameters, or by the method, is not the browser's.
        """
        if is_ended and caller.record is not None:
            self._on_ended(caller.record)
        cookie = self._cookie
        if cookie is None:
            return []
        if session is None:
            return [cookie.clear_header()] if is_ended and not caller.is_by_parameter else []
        is_browsers = session.origin == Origin.OWN and not caller.is_by_parameter
        if not is_browsers and session.origin != Origin.MADE:
            return []
        try:
            return [cookie.set_header(session.session_id, session.expires, self._clock())]
        except ValueError as error:
            # The method has run, so its answer must go out; the body has the session id too.
            _log.error("a session cannot be kept in a cookie: %s", error)
            return []

    def headers(
        self,
        request: Request,
        caller: Caller,
        session: SessionAnswer | None,
        body: bytes,
        *,
        is_ended: bool,
    ) -> Headers:
        """Return all headers for a whole answer: caching, cookie and signature."""
        headers = [NO_STORE, *self.cookie_headers(caller, session, is_ended=is_ended)]
        if session is not None:
            body = b"" if request.verb == "HEAD" else body  # what the client receives
            signature = self._signatures.sign_response(session, request.header_map(), body)
            if signature:
                headers.append((HMAC_HEADER, signature))
        return headers
