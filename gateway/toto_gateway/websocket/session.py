"""Whose socket it is: a credential that was checked once, and is looked up for each call. No I/O
of its own."""

from collections.abc import Callable
from dataclasses import replace

from toto._core.stores.record import SessionRecord
from toto._wire.constants import Origin
from toto._wire.messages import SessionAnswer
from toto.exceptions import ERROR_UNAVAILABLE
from toto_gateway.admission import Admission
from toto_gateway.authentication import Caller, KnownCredential
from toto_gateway.credentials import possible_credential
from toto_gateway.request import Request
from toto_gateway.websocket.messages import SessionChange

__all__ = ["SocketSession"]

_SIGNATURE_HEADERS = frozenset({"x-toto-hmac", "x-toto-timestamp", "x-toto-nonce"})
"""A client may give these again, and no others: a proxy may vouch for the rest."""


class SocketSession:
    """The session that calls of a socket run with.

    Args:
        admission: knows sessions and signatures.
        signed: the request that opened the socket, as it was sent: what signatures cover.
        on_ended: told of a session that a method has ended.
    """

    def __init__(
        self, admission: Admission, signed: Request, on_ended: Callable[[SessionRecord], None]
    ) -> None:
        self._admission = admission
        self._signed = signed
        self._on_ended = on_ended
        self._unchecked: tuple[Request, str, bool] | None = None
        self.known = KnownCredential()
        """Of the calls that begin now."""

    async def open(self, session_id: str, *, is_cookie: bool) -> None:
        """Take the credential of the handshake."""
        await self._present(self._signed, session_id, is_cookie=is_cookie)

    async def change(self, change: SessionChange) -> Caller:
        """Take another credential, and return whose it is. One that does not count leaves none."""
        headers = [pair for pair in change.headers if pair[0].lower() in _SIGNATURE_HEADERS]
        given = {name.lower() for name, _ in headers}
        kept = [pair for pair in self._signed.headers if pair[0].lower() not in given]
        signed = replace(self._signed, headers=(*kept, *headers))
        return await self._present(signed, possible_credential(change.session_id), is_cookie=False)

    async def retry(self) -> None:
        """Check the credential, if the store was away when it was presented."""
        if self._unchecked is not None:
            signed, session_id, is_cookie = self._unchecked
            await self._present(signed, session_id, is_cookie=is_cookie)

    async def _present(self, signed: Request, session_id: str, *, is_cookie: bool) -> Caller:
        attempt = self._unchecked = (signed, session_id, is_cookie)
        known, caller = await self._admission.present(signed, session_id, is_cookie=is_cookie)
        if self._unchecked is attempt:  # or a login has ended meanwhile, and goes before it
            self.known = known
            if caller.failure is None or caller.failure.code != ERROR_UNAVAILABLE:
                self._unchecked = None
        return caller

    def settle(
        self,
        known: KnownCredential,
        caller: Caller,
        answer: SessionAnswer | None,
        *,
        is_ended: bool,
    ) -> None:
        """Take notice of what a call has done to its session.

        Calls run side by side, so the socket may have another session by now. A login counts in
        any case, all else only if the socket still has the session that the call came with.

        Args:
            known: what the call came with.
            caller: whose it was.
            answer: the session that it ended with.
            is_ended: it has ended the one that it came with.
        """
        if is_ended and caller.record is not None:
            self._on_ended(caller.record)
        is_current = known.session_id == self.known.session_id
        is_own = is_current and not caller.is_by_parameter
        if is_ended and is_own:
            self._take(KnownCredential())
            is_own = False
        if answer is None:
            return
        if answer.origin == Origin.MADE and (is_current or answer.user_id is not None):
            self._take(KnownCredential(answer.session_id, is_signed=answer.user_id is not None))
        elif answer.origin == Origin.OWN and is_own and answer.session_id != known.session_id:
            # Tokens that hold the session change with it.
            self._take(replace(known, session_id=answer.session_id))

    def _take(self, known: KnownCredential) -> None:
        self.known = known
        self._unchecked = None
