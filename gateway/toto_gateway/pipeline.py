"""One request from its bytes to its answer: decode, dispatch, answer."""

import logging
import time
from dataclasses import dataclass

from toto._core.failure import Failure, status_of
from toto._core.formats.format import Format
from toto._core.logs import REQUEST_ID
from toto._wire.constants import Mode
from toto._wire.messages import Head
from toto.exceptions import ERROR_NOT_AUTHORIZED
from toto_gateway.authentication import Caller
from toto_gateway.calls import Calls
from toto_gateway.decoding import BatchCall, Decoder, RequestRefused, SingleCall
from toto_gateway.dispatch.replies import Answer, Reply, StreamStart
from toto_gateway.request import Request, Responder
from toto_gateway.session_answers import SessionAnswers
from toto_gateway.sessions.csrf import CsrfPolicy, CsrfProblem
from toto_gateway.streaming.framing import Framing, RawFraming, framing_for
from toto_gateway.streaming.response import StreamWriter

__all__ = ["Pipeline", "PipelineSettings"]

_log = logging.getLogger("toto.gateway")
_access_log = logging.getLogger("toto.access")

CLIENT_GONE = 499
"""In the access log: the client left before there was an answer (nginx's number for it)."""

Headers = list[tuple[str, str]]

BODILESS_STATUSES = frozenset({204, 304})
STREAM_HEADERS = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"))
"""Caches and buffering proxies would hold a stream back."""


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What the pipeline needs of the options."""

    http_statuses: bool
    """Map the errors of methods to HTTP statuses instead of 200."""
    access_log: bool
    """Write a log line for each request."""


class Pipeline:
    """Answers requests. Knows no sockets: the responder writes.

    Args:
        calls: runs them.
        decoder: reads requests.
        session_answers: signs answers and sets cookies.
        csrf: judges requests in cookie mode.
        settings: statuses and the log.
    """

    def __init__(
        self,
        calls: Calls,
        decoder: Decoder,
        session_answers: SessionAnswers,
        csrf: CsrfPolicy | None,
        settings: PipelineSettings,
    ) -> None:
        self._calls = calls
        self._decoder = decoder
        self._session_answers = session_answers
        self._csrf = csrf
        self._settings = settings

    async def handle(self, request: Request, responder: Responder, headers: Headers) -> None:
        """Answer one request; whatever goes wrong, the client gets an error with a code.

        Args:
            request: POST, GET or HEAD.
            responder: for this request.
            headers: to put into the response besides those of the answer itself.
        """
        REQUEST_ID.set(request.request_id)
        started = time.perf_counter()
        try:
            await self._answer(request, responder, headers)
        except RequestRefused as refused:
            self._refuse_or_abort(request, responder, headers, refused.failure, refused.body_format)
        except ConnectionError:
            _log.debug("the client has gone")
        except Exception:  # noqa: BLE001  # the edge: every request gets an answer
            _log.exception("%s %s failed", request.verb, request.path)
            failure = Failure.server_error(request.request_id)
            self._refuse_or_abort(request, responder, headers, failure)
        finally:
            if self._settings.access_log:
                _access_log.info(
                    "%s %s %d %.1f ms %s",
                    request.verb,
                    request.path,
                    responder.status or CLIENT_GONE,
                    (time.perf_counter() - started) * 1000,
                    request.remote_ip,
                )

    def refuse(
        self,
        request: Request,
        responder: Responder,
        headers: Headers,
        failure: Failure,
        body_format: Format | None = None,
        *,
        status: int = 0,
    ) -> None:
        """Answer with an error of the gateway's own, in the request's format.

        Args:
            request: what is refused.
            responder: for it.
            headers: to put into the response besides those of the answer itself.
            failure: the error.
            body_format: the format, if it is known already.
            status: the HTTP status, if it is not the one of the error's code.
        """
        body_format = body_format or self._decoder.format_of(request)
        headers = [*headers, ("Content-Type", body_format.content_type)]
        if failure.retry_after_seconds:
            headers.append(("Retry-After", str(failure.retry_after_seconds)))
        document = body_format.error(failure.as_error(request.request_id))
        status = status or status_of(failure.code, http_statuses=self._settings.http_statuses)
        responder.send(status, headers, document)

    def _refuse_or_abort(
        self,
        request: Request,
        responder: Responder,
        headers: Headers,
        failure: Failure,
        body_format: Format | None = None,
    ) -> None:
        try:
            self.refuse(request, responder, headers, failure, body_format)
        except Exception:  # noqa: BLE001  # the last resort: a closed connection is an answer too
            _log.exception("no answer could be written")
            responder.abort()

    async def _answer(self, request: Request, responder: Responder, headers: Headers) -> None:
        problem = None if self._csrf is None else self._csrf.problem(request)
        if problem is not None:
            self._refuse_forged(request, responder, headers, problem)
            return
        call = self._decoder.decode(request)
        if isinstance(call, BatchCall):
            await self._answer_batch(request, call, responder, headers)
        elif _is_event_stream_reconnect(request) and not self._calls.admission.is_resumable(
            call.method
        ):
            # EventSource comes back after every end; running the method again would surprise.
            responder.send(204, headers, b"")
        else:
            await self._answer_single(request, call, responder, headers)

    def _refuse_forged(
        self, request: Request, responder: Responder, headers: Headers, problem: CsrfProblem
    ) -> None:
        if problem is CsrfProblem.VERB:
            responder.send(405, [*headers, ("Allow", "POST, OPTIONS")], b"")
        elif problem is CsrfProblem.CONTENT_TYPE:
            self.refuse(request, responder, headers, Failure.unsupported_media_type())
        else:
            failure = Failure(ERROR_NOT_AUTHORIZED, problem.value)
            self.refuse(request, responder, headers, failure, status=403)

    async def _answer_single(
        self, request: Request, call: SingleCall, responder: Responder, headers: Headers
    ) -> None:
        caller = await self._calls.admission.admit(request, call)
        if isinstance(caller, Failure):
            raise RequestRefused(caller, call.body_format)
        reply = Reply(self._calls.pool)
        try:
            reply.start(self._calls.request_for(request, call, caller))
            event = await reply.next()
            if isinstance(event, StreamStart):
                headers = self._stream_headers(caller, event.head, headers)
                await self._stream(request, call, reply, responder, headers, event.head)
            elif isinstance(event, Answer):
                headers = self._answer_headers(request, caller, event, headers)
                self._send_answer(event, call.body_format, responder, headers)
            elif isinstance(event, Failure):
                self.refuse(request, responder, headers, event, call.body_format)
        finally:
            reply.close()

    async def _answer_batch(
        self, request: Request, batch: BatchCall, responder: Responder, headers: Headers
    ) -> None:
        answer = await self._calls.run_batch(request, batch)
        headers = [*headers, ("Content-Type", batch.body_format.content_type)]
        headers += self._session_answers.headers(
            request, answer.caller, answer.session, answer.document, is_ended=answer.is_ended
        )
        responder.send(200, headers, answer.document)

    def _answer_headers(
        self, request: Request, caller: Caller, answer: Answer, headers: Headers
    ) -> Headers:
        session, is_ended = answer.head.session, answer.head.is_session_ended
        if session is None and not is_ended:
            return headers
        return headers + self._session_answers.headers(
            request, caller, session, answer.body, is_ended=is_ended
        )

    def _stream_headers(self, caller: Caller, head: Head, headers: Headers) -> Headers:
        return headers + self._session_answers.cookie_headers(
            caller, head.session, is_ended=head.is_session_ended
        )

    def _send_answer(
        self, answer: Answer, body_format: Format, responder: Responder, headers: Headers
    ) -> None:
        head = answer.head
        headers = [*headers, *head.headers, ("Content-Type", _content_type(head, body_format))]
        status = head.status or status_of(answer.code, http_statuses=self._settings.http_statuses)
        responder.send(status, headers, answer.body)

    async def _stream(
        self,
        request: Request,
        call: SingleCall,
        reply: Reply,
        responder: Responder,
        headers: Headers,
        head: Head,
    ) -> None:
        if head.mode == Mode.RAW:
            framing: Framing = RawFraming(head.content_type)
        else:
            framing = framing_for(request.header("accept"), call.body_format)
        content_type = ("Content-Type", framing.content_type)
        headers = [*headers, *head.headers, content_type, *STREAM_HEADERS]
        status = head.status or 200
        if request.verb == "HEAD" or status in BODILESS_STATUSES:
            # A body behind such a head would be read as the next response.
            responder.send(status, headers, b"")
            return
        responder.start(status, headers)
        writer = StreamWriter(
            reply, responder, framing, body_format=call.body_format, request_id=request.request_id
        )
        await writer.run()


def _content_type(head: Head, body_format: Format) -> str:
    # A method may have chosen the format of its answer, too.
    return head.content_type or body_format.content_type


def _is_event_stream_reconnect(request: Request) -> bool:
    return bool(request.header("last-event-id")) and (
        "text/event-stream" in request.header("accept").lower()
    )
