"""What an answer carries of its session: signature, cookie, and a batch's common session."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from toto._core.request_signatures import HMAC_HEADER, RequestSignatures
from toto._core.stores.record import SessionRecord
from toto._core.stores.store import StoreUnavailable
from toto._wire.messages import SessionAnswer
from toto.exceptions import TotoException
from toto.session import apply_changes
from toto_gateway.authentication import SessionSource
from toto_gateway.request import Request
from toto_gateway.sessions.cookies import SessionCookie

__all__ = ["MemberSession", "SessionAnswers", "Settled"]

_log = logging.getLogger("toto.session")

NO_STORE = ("Cache-Control", "no-store")
"""An answer that tells of a session is for its client alone."""

UpdateSession = Callable[[SessionRecord], Awaitable[str | None]]
"""Replaces a session's record; returns its id, or None when it has ended."""


class MemberSession(NamedTuple):
    """What one member of a batch did to the session."""

    session: SessionAnswer | None
    is_ended: bool


class Settled(NamedTuple):
    """How a batch ends for the session."""

    session: SessionAnswer | None
    is_ended: bool
    unsaved: frozenset[str] = frozenset()
    """Members whose changes could not be saved."""


class SessionAnswers:
    """Makes the headers of answers, and one session out of those of a batch's members.

    Args:
        signatures: signs answers.
        cookie: carries the session in cookie mode.
        source: loads the session again before a batch's changes are applied to it: another
            request may have changed it meanwhile.
        update: saves it.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        signatures: RequestSignatures,
        cookie: SessionCookie | None,
        source: SessionSource,
        update: UpdateSession,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._signatures = signatures
        self._cookie = cookie
        self._source = source
        self._update = update
        self._clock = clock

    def cookie_headers(
        self, session: SessionAnswer | None, *, is_ended: bool
    ) -> list[tuple[str, str]]:
        """Return the header that sets or clears the cookie, if there is one to send."""
        if self._cookie is None:
            return []
        if session is not None:
            return [self._cookie.set_header(session.session_id, session.expires, self._clock())]
        return [self._cookie.clear_header()] if is_ended else []

    def headers(
        self, request: Request, session: SessionAnswer | None, body: bytes, *, is_ended: bool
    ) -> list[tuple[str, str]]:
        """Return all headers for a whole answer: caching, cookie and signature."""
        headers = [NO_STORE, *self.cookie_headers(session, is_ended=is_ended)]
        if session is not None:
            body = b"" if request.verb == "HEAD" else body  # what the client receives
            signature = self._signatures.sign_response(session, request.header_map(), body)
            if signature is not None:
                headers.append((HMAC_HEADER, signature))
        return headers

    async def settle(
        self, record: SessionRecord | None, members: Mapping[str, MemberSession]
    ) -> Settled:
        """Apply what the members of a batch saved, in the order of their keys.

        A session that a member made stands for all; what others did to the old one is saved too,
        unless it has ended.

        Args:
            record: the session the batch came with.
            members: what each did, by key.
        """
        keys = sorted(members)
        is_ended = any(members[key].is_ended for key in keys)
        answers = {key: answer for key in keys if (answer := members[key].session) is not None}
        made = [answer for answer in answers.values() if answer.is_other]
        own = {key: answer for key, answer in answers.items() if not answer.is_other}
        kept: SessionAnswer | None = None
        unsaved: frozenset[str] = frozenset()
        if own and record is not None and not is_ended:
            kept, unsaved = await self._save(record, own)
        return Settled(made[-1] if made else kept, is_ended, unsaved)

    async def _save(
        self, record: SessionRecord, own: Mapping[str, SessionAnswer]
    ) -> tuple[SessionAnswer | None, frozenset[str]]:
        changes = [answer.changes for answer in own.values() if answer.changes]
        expires = max(answer.expires for answer in own.values())
        shown = SessionAnswer(record.session_id, record.user_id, record.expires, record.key)
        if not changes and expires <= record.expires:
            return shown, frozenset()
        changed = frozenset(key for key, answer in own.items() if answer.changes)
        try:
            session_id = await self._store(record, changes, expires)
        except StoreUnavailable:
            return shown, changed
        except TotoException as error:
            _log.error("the changes of a batch cannot be saved: %s", error)
            return shown, changed
        if session_id is None:
            return None, frozenset()
        return shown._replace(session_id=session_id, expires=expires), frozenset()

    async def _store(
        self, record: SessionRecord, changes: Sequence[bytes], expires: float
    ) -> str | None:
        latest = await self._source.load(record.session_id)
        if latest is None:
            return None
        state = apply_changes(latest.state, changes) if changes else latest.state
        return await self._update(replace(latest, state=state, expires=expires))
