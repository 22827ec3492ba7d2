"""From a decoded request to the calls of the pool, however the request came in."""

from typing import NamedTuple

from toto._core.failure import Failure
from toto._core.formats.format import Format
from toto._wire.messages import RequestInfo, SessionAnswer
from toto_gateway.admission import Admission
from toto_gateway.authentication import Caller
from toto_gateway.batch import run_batch
from toto_gateway.batch_hooks import BatchHooks
from toto_gateway.batch_sessions import BatchSessions
from toto_gateway.decoding import BatchCall, SingleCall
from toto_gateway.dispatch.pending import CallRequest
from toto_gateway.dispatch.replies import CallPool
from toto_gateway.request import Request

__all__ = ["BatchAnswer", "Calls"]


class BatchAnswer(NamedTuple):
    """How a batch ended."""

    document: bytes
    caller: Caller
    """Whose batch it was."""
    session: SessionAnswer | None
    is_ended: bool
    """The session that the batch came with has ended."""


class Calls:
    """Makes the calls that requests ask for.

    Args:
        pool: where calls run.
        admission: tells as whom a call runs, if at all.
        batch_sessions: saves what the members of a batch did to their sessions.
        timeout_seconds: what a call may take, unless its method says otherwise.
    """

    def __init__(
        self,
        pool: CallPool,
        admission: Admission,
        batch_sessions: BatchSessions,
        *,
        timeout_seconds: float,
    ) -> None:
        self.pool = pool
        self.admission = admission
        self._batch_sessions = batch_sessions
        self._timeout_seconds = timeout_seconds

    def request_for(
        self,
        request: Request,
        call: SingleCall,
        caller: Caller,
        *,
        batch_key: str | None = None,
        is_socket: bool = False,
    ) -> CallRequest:
        """Return what is asked of the pool.

        Args:
            request: the request that holds the call.
            call: the method and its body.
            caller: as whom it runs.
            batch_key: of a member of a batch.
            is_socket: it came over a WebSocket.
        """
        info = RequestInfo(
            request_id=request.request_id,
            verb=request.verb,
            uri=request.uri,
            headers=request.headers,
            remote_ip=request.remote_ip,
            content_type=call.content_type,
            body_format=call.body_format.name,
            batch_key=batch_key,
            session=caller.info,
            is_socket=is_socket,
        )
        return CallRequest(
            call.method, call.body, info, self._timeout_seconds, in_batch=batch_key is not None
        )

    async def run_batch(
        self, request: Request, batch: BatchCall, *, caller: Caller | None = None
    ) -> BatchAnswer:
        """Run all members, with the application's hooks around them.

        Args:
            request: the request that holds the batch.
            batch: its members.
            caller: whose batch it is; None lets the request say so.
        """
        hooks = BatchHooks(request, timeout_seconds=self._timeout_seconds)
        hooks.begin()
        try:
            return await self._run_members(request, batch, caller)
        finally:
            hooks.end()

    async def _run_members(
        self, request: Request, batch: BatchCall, caller: Caller | None
    ) -> BatchAnswer:
        body_format, request_id = batch.body_format, request.request_id
        caller, admitted = await self.admission.admit_batch(request, batch, caller)
        calls: list[tuple[str, CallRequest | Failure]] = []
        for key, member in batch.members.items():
            whose = admitted[key]
            if isinstance(member, Failure):
                calls.append((key, member))
            elif isinstance(whose, Failure):
                calls.append((key, whose))
            else:
                calls.append((key, self.request_for(request, member, whose, batch_key=key)))
        answers = await run_batch(self.pool, calls, body_format=body_format, request_id=request_id)
        settled = await self._batch_sessions.settle(
            caller, admitted, {key: answer.session for key, answer in answers.items()}
        )
        documents = {key: answer.document for key, answer in answers.items()}
        for key, failure in settled.failures.items():
            documents[key] = body_format.error(failure.as_error(request_id))
        document = _joined(body_format, documents, settled.session)
        return BatchAnswer(document, caller, settled.session, settled.is_ended)


def _joined(
    body_format: Format, documents: dict[str, bytes], session: SessionAnswer | None
) -> bytes:
    document = body_format.join_batch(documents.items())
    if session is None:
        return document
    return body_format.with_session(document, body_format.encode_item(session.as_object()))
