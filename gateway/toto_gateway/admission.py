"""Which of a request's calls may run, and as whom."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from toto._core.failure import Failure
from toto._core.formats.errors import MalformedBody
from toto._core.stores.record import unpack
from toto._wire.constants import Policy
from toto._wire.messages import SessionInfo
from toto.handler import Request as HandlerRequest
from toto.invocation import take_session_id
from toto_gateway.authentication import NOBODY, Authenticator, Caller, KnownCredential
from toto_gateway.credentials import header_credential, possible_credential, presented_credential
from toto_gateway.decoding import BatchCall, SingleCall
from toto_gateway.request import Request
from toto_gateway.sessions.cookies import SessionCookie

__all__ = ["Admission", "nested_refusal"]


class Admission:
    """Authenticates a request and holds its calls against their methods' policies.

    Args:
        authenticator: knows sessions and signatures.
        policy_of: what the workers announced of a method; 0 for one that is unknown.
        read_parameters: reads parameters, for the methods whose credential stands there; raises
            MalformedBody.
        cookie: where the credential stands in cookie mode.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        policy_of: Callable[[str], int],
        read_parameters: Callable[[HandlerRequest], Any],
        cookie: SessionCookie | None,
    ) -> None:
        self._authenticator = authenticator
        self._policy_of = policy_of
        self._read_parameters = read_parameters
        self._cookie = cookie

    def is_resumable(self, method: str) -> bool:
        """Tell whether a stream of the method can go on where it was cut off."""
        return bool(self._policy_of(method) & Policy.RESUMABLE)

    async def admit(self, request: Request, call: SingleCall) -> Caller | Failure:
        """Return as whom a call runs, or why it does not."""
        session_id = presented_credential(request, self._cookie)
        return await self._admit(
            request,
            call,
            session_id,
            own=partial(self._by_credential, request, session_id),
            named=partial(self._by_parameter, request),
        )

    async def admit_known(
        self, request: Request, call: SingleCall, known: KnownCredential
    ) -> Caller | Failure:
        """Return as whom a call of a WebSocket runs, or why it does not.

        Nothing signs such a call alone. Where signatures are asked for, it can therefore name no
        session in its parameters but the one that the socket has.
        """
        return await self._admit(
            request,
            call,
            known.session_id,
            own=partial(self.reload, known),
            named=partial(self._by_parameter_or_known, request, known),
        )

    async def reload(self, known: KnownCredential) -> Caller:
        """Return whose a credential is by now."""
        caller = await self._authenticator.reload(known)
        if not known.is_cookie or caller.record is None:
            return caller
        return _by_cookie(caller)

    async def present(
        self, request: Request, session_id: str, *, is_cookie: bool = False
    ) -> tuple[KnownCredential, Caller]:
        """Take the credential for the calls of a WebSocket, and return whose it is.

        Args:
            request: what is signed, if signatures are asked for.
            session_id: the credential.
            is_cookie: it stood in the cookie.
        """
        caller = await self._authenticator.authenticate(request, session_id)
        if caller.failure is not None:
            return KnownCredential(session_id, is_cookie=is_cookie, failure=caller.failure), caller
        if caller.record is None:
            return KnownCredential(), caller
        is_signed = caller.record.user_id is not None
        return KnownCredential(session_id, is_signed=is_signed, is_cookie=is_cookie), caller

    async def _admit(
        self,
        request: Request,
        call: SingleCall,
        session_id: str,
        *,
        own: Callable[[], Awaitable[Caller]],
        named: Callable[[str], Awaitable[Caller]],
    ) -> Caller | Failure:
        policy = self._policy_of(call.method)
        if policy & Policy.INTERNAL:
            return Failure.invalid_method(call.method)
        if policy & Policy.PARAMETER:
            given = self._in_parameters(request, call)
            if isinstance(given, Failure):
                return given
            if given:
                caller = await named(given)
                return caller.refusal(policy) or caller
        if not session_id and not policy:
            return NOBODY
        caller = await own()
        return caller.refusal(policy) or caller

    async def admit_batch(
        self, request: Request, batch: BatchCall, caller: Caller | None = None
    ) -> tuple[Caller, dict[str, Caller | Failure]]:
        """Return whose batch it is, and as whom each member runs or why it does not.

        The request is authenticated once, unless the caller is known already; only a member that
        names its own session is another's.
        """
        if caller is None:
            credential = presented_credential(request, self._cookie)
            caller = await self._by_credential(request, credential)
        else:
            credential = caller.info.session_id
        named: dict[str, Caller] = {}  # each is authenticated once, or its nonce would be used up
        admitted: dict[str, Caller | Failure] = {}
        for key, member in batch.members.items():
            if isinstance(member, Failure):
                admitted[key] = member
                continue
            policy = self._policy_of(member.method)
            if policy & Policy.INTERNAL:
                admitted[key] = Failure.invalid_method(member.method)
                continue
            own = caller
            if policy & Policy.PARAMETER:
                given = self._in_parameters(request, member)
                if isinstance(given, Failure):
                    admitted[key] = given
                    continue
                if given and given != credential:
                    if given not in named:
                        named[given] = await self._by_parameter(request, given)
                    own = named[given]
            admitted[key] = own.refusal(policy) or own
        return caller, admitted

    async def _by_credential(self, request: Request, session_id: str) -> Caller:
        caller = await self._authenticator.authenticate(request, session_id)
        if self._cookie is None or header_credential(request) or caller.record is None:
            return caller
        return _by_cookie(caller)

    async def _by_parameter_or_known(
        self, request: Request, known: KnownCredential, session_id: str
    ) -> Caller:
        if session_id == known.session_id:
            return replace(await self.reload(known), is_by_parameter=True)
        return await self._by_parameter(request, session_id)

    async def _by_parameter(self, request: Request, session_id: str) -> Caller:
        caller = await self._authenticator.authenticate(request, session_id)
        return replace(caller, is_by_parameter=True)

    def _in_parameters(self, request: Request, call: SingleCall) -> str | Failure:
        shown = HandlerRequest(
            request.verb, request.uri, {}, call.body, request.remote_ip, call.content_type
        )
        try:
            return possible_credential(take_session_id(self._read_parameters(shown)))
        except MalformedBody as error:
            return Failure.malformed(str(error))


def _by_cookie(caller: Caller) -> Caller:
    return replace(caller, info=caller.info._replace(is_cookie=True))


def nested_refusal(session: SessionInfo, policy: int) -> Failure | None:
    """Return why a method may not call another one with this session, or None.

    Where the parameters may hold another session's id, or the session could not be checked, the
    other method's own decorator decides.
    """
    if not policy & Policy.USER or policy & Policy.PARAMETER or session.error:
        return None
    try:
        record = unpack(session.packed, session.session_id) if session.packed else None
    except ValueError:
        record = None
    return Caller(session, record).refusal(policy)
