"""What a method gives, encoded: results, errors and raw bodies as the ends of a call. No I/O."""

import math
from typing import Any, NamedTuple

from toto._core.failure import CODE_MAX, Failure, is_retryable
from toto._core.formats.errors import MalformedBody, NotSerializable
from toto._core.formats.format import Format
from toto._core.formats.registry import FormatRegistry
from toto._core.stream_item import StreamItem
from toto._core.traits import Traits
from toto._wire.constants import BODY_CHUNK_BYTES, RESPONSE_BYTES_MAX, Mode
from toto._wire.messages import Head, RequestInfo, SessionAnswer
from toto.exceptions import ERROR_SERVER, TotoException
from toto_worker.failures import error_object, log_failure
from toto_worker.jsonp import JSONP_CONTENT_TYPE, jsonp_script, take_callback
from toto_worker.sessions import CallSessions

__all__ = ["AnswerEncoder", "Ending"]

HEAD_BYTES_MAX = 16 * 1024
FIXED_HEADERS = frozenset({"content-type", "x-request-id", "x-toto-hmac"})
"""The kind of answer decides the first, and the gateway sends the others."""
RETRY_AFTER_SECONDS_MAX = 86_400
"""Of what methods may ask for: a day, beyond which no client comes back."""
RAW_CONTENT_TYPE = "application/octet-stream"


class Ending(NamedTuple):
    """How a call ends."""

    code: int
    """0, or the error code of the document in the payload."""
    head: Head | None
    payload: bytes


class AnswerEncoder:
    """Encodes the answer of one call, with the status and the headers that its method has set.

    Args:
        method: the method's name, for the log.
        info: the call's request.
        formats: all formats; the request's own is used unless the method sets another.
        traits: what the method's decorators say.
        sessions: the call's session.
        debug: tell clients the text of unexpected exceptions.
    """

    def __init__(
        self,
        method: str,
        info: RequestInfo,
        formats: FormatRegistry,
        traits: Traits,
        sessions: CallSessions,
        *,
        debug: bool,
    ) -> None:
        self._method = method
        self._info = info
        self._formats = formats
        self._format: Format = formats.by_name(info.body_format) or formats.json
        self._traits = traits
        self._sessions = sessions
        self._debug = debug
        self._is_inner = info.is_nested or info.batch_key is not None
        self._response_type = RAW_CONTENT_TYPE if traits.is_raw else ""
        self._callback = ""
        self._status = 0
        self._headers: tuple[tuple[str, str], ...] = ()

    @property
    def response_type(self) -> str:
        """Content type of the answer."""
        return self._response_type or self._format.content_type

    @response_type.setter
    def response_type(self, content_type: str) -> None:
        # A member of a batch is part of a document in the batch's format, whatever it says.
        if not self._is_inner or self._traits.is_raw:
            self._response_type = content_type

    @property
    def is_raw(self) -> bool:
        """What the method returns is the body itself."""
        return self._traits.is_raw

    def set_status(self, status: int) -> None:
        """Choose the HTTP status."""
        self._status = status

    def set_header(self, name: str, value: str) -> None:
        """Set a header, replacing earlier ones of the name."""
        wanted = name.lower()
        kept = tuple((n, v) for n, v in self._headers if n.lower() != wanted)
        self._add(kept, name, value)

    def add_header(self, name: str, value: str) -> None:
        """Add a header, but for those that are not the method's to choose."""
        self._add(self._headers, name, value)

    def _add(self, headers: tuple[tuple[str, str], ...], name: str, value: str) -> None:
        if name.lower() in FIXED_HEADERS:
            return
        if sum(len(n) + len(v) for n, v in headers) + len(name) + len(value) > HEAD_BYTES_MAX:
            raise ValueError("the headers of the answer are too large")
        self._headers = (*headers, (name, value))

    def take_callback(self, parameters: Any) -> None:
        """Take the name of the function that a JSONP request wants called out of its parameters.

        Raises:
            TotoException: the name is not one (1003), or the caller is known by a cookie (1004).
        """
        callback = take_callback(
            parameters, self._traits.jsonp_parameter, by_cookie=self._info.session.is_cookie
        )
        is_script = not self._is_inner and not self._traits.is_raw
        if is_script and self._format is self._formats.json:
            self._callback = callback

    def error_info(self, error: BaseException) -> dict[str, Any]:
        """Return the error object for an exception."""
        return error_object(error, request_id=self._info.request_id, debug=self._debug)

    # -- endings

    def result(self, value: Any) -> Ending:
        """The method gave a value."""
        try:
            session = self._session_answer()
            if self._traits.is_raw:
                payload = self.raw_piece(value)
                return Ending(0, self._head(Mode.RAW, session, self.response_type), payload)
            if self._callback:
                payload = jsonp_script(self._callback, self._formats.json.encode_item(value))
                return Ending(0, self._head(Mode.RAW, session, JSONP_CONTENT_TYPE), payload)
            body_format = self._answer_format()
            payload = self._with_session(body_format, body_format.result(value), session)
        except (NotSerializable, TotoException) as error:
            return self.error(error)
        if len(payload) > RESPONSE_BYTES_MAX:
            failure = Failure.response_too_large(RESPONSE_BYTES_MAX)
            return Ending(failure.code, None, self._format.error(failure.as_error("")))
        return Ending(0, self._head(Mode.ENVELOPE, session, self._response_type), payload)

    def raw(self, body: bytes, content_type: str) -> Ending:
        """The method gave the whole body."""
        data = b"" if self._info.verb == "HEAD" else body
        return Ending(0, self._head(Mode.RAW, self._session_answer(), content_type), data)

    def redirect(self, url: str, status: int) -> Ending:
        """The method sends the client elsewhere."""
        self._status = status
        self.set_header("Location", url)
        return self.raw(b"", "text/plain; charset=utf-8")

    def error(self, error: BaseException, *, is_streaming: bool = False) -> Ending:
        """The method failed."""
        log_failure(error, method=self._method, request_id=self._info.request_id)
        if not is_streaming and (url := self._redirect_of(error)):
            self._sessions_or_none()
            return self.redirect(url, 302)
        session = self._sessions_or_none()
        info = self.error_info(error)
        body_format = self._format if is_streaming else self._answer_format()
        payload = self._error_document(body_format, info, is_streaming=is_streaming)
        if is_retryable(info["code"]):
            self.set_header("Retry-After", str(_retry_after_seconds(error)))
        if self._callback and not is_streaming:
            script = jsonp_script(self._callback, payload)
            return Ending(0, self._head(Mode.RAW, session, JSONP_CONTENT_TYPE), script)
        payload = self._with_session(body_format, payload, session)
        code = info["code"] if 0 < info["code"] <= CODE_MAX else ERROR_SERVER
        if is_streaming:
            return Ending(code, None, payload)
        content_type = "" if self._traits.is_raw else self._response_type
        return Ending(code, self._head(Mode.ENVELOPE, session, content_type), payload)

    def refusal(self, failure: Failure) -> Ending:
        """The call ends before its method began."""
        error = failure.as_error(self._info.request_id)
        return Ending(failure.code, None, self._format.error(error))

    def nothing(self) -> Ending:
        """Nobody gave an answer: the call was cancelled, or reporting its error failed."""
        failure = Failure.server_error(self._info.request_id)
        return Ending(failure.code, None, self._format.error(failure.as_error("")))

    # -- streams

    def item(self, value: Any) -> tuple[bytes, Mode, str]:
        """Encode one item of a generator, and return its name too.

        Raises:
            NotSerializable: it cannot be.
        """
        key = ""
        if type(value) is StreamItem:
            value, key = value.value, value.key
        if self._traits.is_raw:
            return self.raw_piece(value), Mode.RAW, ""
        return self._format.encode_item(value), Mode.ITEMS, key

    def message(self, value: Any) -> bytes:
        """Encode a message to the client of a WebSocket.

        Raises:
            NotSerializable: it cannot be.
            RuntimeError: there is no WebSocket.
        """
        if not self._info.is_socket:
            raise RuntimeError("only a call of its own over a WebSocket can send messages")
        return self._format.encode_item(value)

    def raw_piece(self, value: Any) -> bytes:
        """Return the bytes of a ``raw_response``.

        Raises:
            NotSerializable: the value is neither bytes nor text.
        """
        if value is None or self._info.verb == "HEAD":
            return b""
        if isinstance(value, str):
            return _encoded_text(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        raise NotSerializable("a raw response", "$", type(value).__name__)

    def stream_head(self, mode: Mode, content_type: str) -> Head | None:
        """Return how a stream begins."""
        return self._head(mode, self._session_answer(), content_type)

    def empty_stream(self) -> Ending:
        """A generator has ended that yielded nothing."""
        mode = Mode.RAW if self._traits.is_raw else Mode.ITEMS
        try:
            return Ending(0, self._head(mode, self._session_answer(), self.response_type), b"")
        except TotoException as error:
            return self.error(error)

    def end_of_stream(self, mode: Mode) -> Ending:
        """A stream has ended as it should."""
        try:
            session = self._session_answer()
        except TotoException as error:
            return self.error(error, is_streaming=True)
        if session is None or mode is not Mode.ITEMS:
            return Ending(0, None, b"")
        return Ending(0, Head(Mode.ITEMS, session=session), b"")

    # -- inside

    def _answer_format(self) -> Format:
        if not self._response_type or self._traits.is_raw:
            return self._format
        return self._formats.for_content_type(self._response_type) or self._formats.json

    def _session_answer(self) -> SessionAnswer | None:
        """Return what is told of the session; once that fails, nothing is."""
        try:
            return self._sessions.answer()
        except TotoException:
            self._sessions.session = None
            raise

    def _sessions_or_none(self) -> SessionAnswer | None:
        try:
            return self._session_answer()
        except TotoException as problem:
            # The method has failed otherwise, too; that is what the client is told.
            log_failure(problem, method=self._method, request_id=self._info.request_id)
            return None

    def _redirect_of(self, error: BaseException) -> str:
        redirects = self._traits.redirects
        if redirects is None or self._is_inner or isinstance(error, MalformedBody):
            return ""
        return redirects.url_of(error)

    def _head(self, mode: Mode, session: SessionAnswer | None, content_type: str) -> Head | None:
        is_ended = self._sessions.is_own_ended
        is_plain = not (self._status or self._headers or content_type or session or is_ended)
        if mode is Mode.ENVELOPE and is_plain:
            return None
        shown = "" if mode is Mode.ITEMS else content_type
        return Head(mode, self._status, shown, self._headers, session, is_ended)

    def _with_session(
        self, body_format: Format, document: bytes, session: SessionAnswer | None
    ) -> bytes:
        # That of a batch stands beside the members, and the gateway puts it there.
        if session is None or self._is_inner:
            return document
        encoded = body_format.encode_item(session.as_object())
        return body_format.with_session(document, encoded)

    def _error_document(
        self, body_format: Format, info: dict[str, Any], *, is_streaming: bool
    ) -> bytes:
        try:
            payload = body_format.error(info)
        except NotSerializable as problem:
            info["code"] = ERROR_SERVER
            text = f"The error cannot be encoded: {problem}"
            return body_format.error({"code": ERROR_SERVER, "value": text})
        if len(payload) > (BODY_CHUNK_BYTES if is_streaming else RESPONSE_BYTES_MAX):
            text = "The error's value is too large."
            return body_format.error({"code": info["code"], "value": text})
        return payload


def _encoded_text(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise NotSerializable("a raw response", "$", "str with half a character") from None


def _retry_after_seconds(error: BaseException) -> int:
    """Return the whole seconds (RFC 9110, 10.2.3) that an error asks for, or 1."""
    seconds = getattr(error, "retry_after_seconds", None)
    if not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        return 1
    return math.ceil(min(seconds, RETRY_AFTER_SECONDS_MAX))
