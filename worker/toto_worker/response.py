"""The answer of one call: encodes what the method gives and ends the call exactly once."""

import asyncio
import logging
import math
import threading
from collections.abc import Awaitable, Generator
from typing import Any, NamedTuple

from toto._core.failure import Failure, is_retryable
from toto._core.formats.errors import NotSerializable
from toto._core.formats.format import Format
from toto._wire.constants import (
    BODY_CHUNK_BYTES,
    RESPONSE_BYTES_MAX,
    STREAM_CHUNK_BYTES,
    Mode,
)
from toto._wire.messages import Head, SessionAnswer
from toto.exceptions import ERROR_SERVER, TotoException
from toto_worker.call import WorkerCall
from toto_worker.failures import error_object, log_failure
from toto_worker.sessions import CallSessions
from toto_worker.transport import Transport

__all__ = ["CallResponse"]

_log = logging.getLogger("toto.method")

HEAD_BYTES_MAX = 16 * 1024
CODE_MAX = 2**31 - 1
"""Error codes beyond go to the client as they are, and count as 1000 for the HTTP status."""
UNAWAITED_BYTES_MAX = 8 * 1024 * 1024
"""What a coroutine may hand to respond_raw without awaiting any of it."""
RETRY_AFTER_SECONDS_MAX = 86_400
"""Of what methods may ask for: a day, beyond which no client comes back."""


class _Ending(NamedTuple):
    code: int
    head: Head | None
    payload: bytes


class _Done:
    """An awaitable that has already happened."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class CallResponse:
    """The ``ResponsePort`` of one call. Its methods may be called by any thread.

    The executor uses ``complete``/``fail`` and then ``close``, so that the answer and the news that
    the slot is free travel in one message; answers given earlier by the method go out at once.
    """

    def __init__(
        self,
        call: WorkerCall,
        transport: Transport,
        body_format: Format,
        sessions: CallSessions,
        *,
        loop: asyncio.AbstractEventLoop,
        debug: bool,
    ) -> None:
        self._call = call
        self._sessions = sessions
        self._transport = transport
        self._format = body_format
        self._loop = loop
        self._debug = debug
        self._lock = threading.RLock()
        self._has_ended = False
        self._is_sent = False
        self._ending: _Ending | None = None
        self._stream_mode: Mode | None = None
        self._sequence = 0
        self._status = 0
        self._content_type = ""
        self._headers: list[tuple[str, str]] = []
        self._unawaited_bytes = 0
        self._last_write: asyncio.Task[None] | None = None
        self._ended_event: asyncio.Event | None = None

    # -- ResponsePort

    def respond(self, result: Any, error: BaseException | None) -> None:
        """End the call now, although its method may still run."""
        if error is not None:
            self._end_now(self._encode_error(error))
        elif self._stream_mode is not None:
            self._end_now(self._end_of_stream())
        else:
            self._end_now(self._encode_result(result))

    def respond_raw(self, body: bytes, content_type: str, *, finish: bool) -> Awaitable[None]:
        """Send bytes; on the event loop the returned awaitable waits for the client."""
        if self._refuse_second():
            return _Done()
        if self._stream_mode is None:
            self._content_type = content_type
            if finish:
                data = b"" if self._call.message.request.verb == "HEAD" else body
                self._end_now(_Ending(0, self._head(Mode.RAW, self._session_answer()), data))
                return _Done()
        if asyncio._get_running_loop() is self._loop:
            return self._write_on_loop(body, finish=finish)
        self._send_blocking(body, Mode.RAW)
        if finish:
            self._end_now(_Ending(0, None, b""))
        return _Done()

    def set_status(self, status: int) -> None:
        """Choose the HTTP status."""
        self._status = status

    def set_header(self, name: str, value: str) -> None:
        """Set a header."""
        wanted = name.lower()
        self._headers = [(n, v) for n, v in self._headers if n.lower() != wanted]
        self.add_header(name, value)

    def add_header(self, name: str, value: str) -> None:
        """Add a header. The content type is not one of them: the kind of answer decides it."""
        if name.lower() == "content-type":
            return
        if sum(len(n) + len(v) for n, v in self._headers) + len(name) + len(value) > HEAD_BYTES_MAX:
            raise ValueError("the headers of the answer are too large")
        self._headers.append((name, value))

    def error_info(self, error: BaseException) -> dict[str, Any]:
        """Return the error object for an exception."""
        request_id = self._call.message.request.request_id
        return error_object(error, request_id=request_id, debug=self._debug)

    @property
    def is_cancelled(self) -> bool:
        """True when the gateway said that the answer is not wanted, or comes too late."""
        return self._call.is_cancelled

    @property
    def has_ended(self) -> bool:
        """True once answered."""
        return self._has_ended

    # -- for the executor

    def complete(self, result: Any) -> None:
        """The method returned: its value is the answer, unless it gave one already."""
        if self._has_ended:
            return
        if self._stream_mode is not None:
            self._set_ending(self._end_of_stream())
        else:
            self._set_ending(self._encode_result(result))

    def complete_stream(self) -> None:
        """The generator is at its end."""
        if self._stream_mode is None:
            self._set_ending(self._empty_stream())
        else:
            self._set_ending(self._end_of_stream())

    def fail(self, error: BaseException) -> None:
        """The method raised: that is the answer, unless it gave one already."""
        if self._has_ended:
            message = self._call.message
            log_failure(error, method=message.method, request_id=message.request.request_id)
        else:
            self._set_ending(self._encode_error(error))

    def refuse(self, failure: Failure) -> None:
        """The call ends before its method began."""
        error = failure.as_error(self._call.message.request.request_id)
        self._set_ending(_Ending(failure.code, None, self._format.error(error)))

    def close(self, microseconds: int) -> None:
        """The method is done with: free the slot, and send the answer if it is still due."""
        desk, call = self._transport.desk, self._call
        with self._lock:
            ending, self._ending = self._ending, None
            is_sent, self._is_sent, self._has_ended = self._is_sent, True, True
        if is_sent:
            self._transport.post(lambda: desk.release(call, microseconds))
        else:
            code, head, payload = ending or self._no_ending()
            self._transport.post(lambda: desk.finish(call, code, head, payload, microseconds))
        self._tell_waiter()

    def send_item(self, value: Any) -> None:
        """Stream one item from a thread; waits while the client is slow.

        Raises:
            CallCancelled: when nobody waits any more.
            NotSerializable: when the item cannot be encoded.
        """
        self._send_blocking(self._format.encode_item(value), Mode.ITEMS)

    async def send_item_async(self, value: Any) -> None:
        """Stream one item from the event loop; otherwise as ``send_item``."""
        await self._send_async(self._format.encode_item(value), Mode.ITEMS)

    async def wait_ended(self) -> None:
        """Wait on the event loop until the call has been answered."""
        with self._lock:
            if self._has_ended:
                return
            event = self._ended_event = asyncio.Event()
        await event.wait()

    async def flush(self) -> None:
        """Wait for what respond_raw was given on the event loop."""
        if self._last_write is not None:
            await self._last_write

    # -- endings

    def _refuse_second(self) -> bool:
        if self._has_ended:
            _log.debug("%s answers a second time", self._call.message.method)
        return self._has_ended

    def _set_ending(self, ending: _Ending) -> None:
        with self._lock:
            if self._refuse_second():
                return
            self._has_ended = True
            self._ending = ending

    def _end_now(self, ending: _Ending) -> None:
        desk, call = self._transport.desk, self._call
        with self._lock:
            if self._refuse_second():
                return
            self._has_ended = self._is_sent = True
        # Whoever still yields or writes learns that it is in vain.
        call.window.close()
        code, head, payload = ending
        self._transport.post(lambda: desk.answer(call, code, head, payload))
        self._tell_waiter()

    def _no_ending(self) -> _Ending:
        """Nobody gave an answer: the call was cancelled, or reporting its error failed."""
        failure = Failure.server_error(self._call.message.request.request_id)
        return _Ending(failure.code, None, self._format.error(failure.as_error("")))

    def _tell_waiter(self) -> None:
        event = self._ended_event
        if event is not None:
            self._loop.call_soon_threadsafe(event.set)

    # -- encoding

    def _session_answer(self) -> SessionAnswer | None:
        """Return what is told of the session; once that fails, nothing is."""
        try:
            return self._sessions.answer()
        except TotoException:
            self._sessions.session = None
            raise

    def _head(self, mode: Mode, session: SessionAnswer | None) -> Head | None:
        is_ended = self._sessions.is_own_ended
        is_plain = not self._status and not self._headers and session is None and not is_ended
        if mode is Mode.ENVELOPE and is_plain:
            return None
        content_type = self._content_type if mode is Mode.RAW else ""
        return Head(mode, self._status, content_type, tuple(self._headers), session, is_ended)

    def _empty_stream(self) -> _Ending:
        try:
            return _Ending(0, self._head(Mode.ITEMS, self._session_answer()), b"")
        except TotoException as error:
            return self._encode_error(error)

    def _end_of_stream(self) -> _Ending:
        try:
            session = self._session_answer()
        except TotoException as error:
            return self._encode_error(error)
        if session is None or self._stream_mode is not Mode.ITEMS:
            return _Ending(0, None, b"")
        return _Ending(0, Head(Mode.ITEMS, session=session), b"")

    def _with_session(self, document: bytes, session: SessionAnswer | None) -> bytes:
        # That of a batch stands beside the members, and the gateway puts it there.
        if session is None or self._call.message.request.batch_key is not None:
            return document
        encoded = self._format.encode_item(session.as_object())
        return self._format.with_session(document, encoded)

    def _encode_result(self, result: Any) -> _Ending:
        try:
            session = self._session_answer()
            payload = self._with_session(self._format.result(result), session)
        except (NotSerializable, TotoException) as error:
            return self._encode_error(error)
        if len(payload) > RESPONSE_BYTES_MAX:
            failure = Failure.response_too_large(RESPONSE_BYTES_MAX)
            error_document = self._format.error(failure.as_error(""))
            return _Ending(failure.code, None, error_document)
        return _Ending(0, self._head(Mode.ENVELOPE, session), payload)

    def _encode_error(self, error: BaseException) -> _Ending:
        message = self._call.message
        log_failure(error, method=message.method, request_id=message.request.request_id)
        session: SessionAnswer | None = None
        try:
            session = self._session_answer()
        except TotoException as problem:
            # The method has failed otherwise, too; that is what the client is told.
            _log.error("%s: %s", message.method, problem)
        info = self.error_info(error)
        try:
            payload = self._format.error(info)
        except NotSerializable as problem:
            info = {"code": ERROR_SERVER, "value": f"The error cannot be encoded: {problem}"}
            payload = self._format.error(info)
        is_streaming = self._stream_mode is not None
        if len(payload) > (BODY_CHUNK_BYTES if is_streaming else RESPONSE_BYTES_MAX):
            info = {"code": info["code"], "value": "The error's value is too large."}
            payload = self._format.error(info)
        payload = self._with_session(payload, session)
        if is_retryable(info["code"]):
            self.set_header("Retry-After", str(_retry_after_seconds(error)))
        code = info["code"] if 0 < info["code"] <= CODE_MAX else ERROR_SERVER
        head = None if is_streaming else self._head(Mode.ENVELOPE, session)
        return _Ending(code, head, payload)

    # -- streams

    def _send_blocking(self, data: bytes, mode: Mode) -> None:
        offset = 0
        while True:
            size = self._call.window.take(min(STREAM_CHUNK_BYTES, len(data) - offset))
            self._post_piece(data[offset : offset + size], mode, more=offset + size < len(data))
            offset += size
            if offset >= len(data):
                return

    async def _send_async(self, data: bytes, mode: Mode) -> None:
        offset = 0
        while True:
            left = min(STREAM_CHUNK_BYTES, len(data) - offset)
            size = await self._call.window.take_async(left)
            self._post_piece(data[offset : offset + size], mode, more=offset + size < len(data))
            offset += size
            if offset >= len(data):
                return

    def _post_piece(self, piece: bytes, mode: Mode, *, more: bool) -> None:
        desk, call = self._transport.desk, self._call
        head = None
        if self._stream_mode is None:
            head = self._head(mode, self._session_answer())
            self._stream_mode = mode
        sequence = self._sequence
        self._sequence += 1
        self._transport.post(lambda: desk.item(call, sequence, head, piece, more=more))

    def _write_on_loop(self, body: bytes, *, finish: bool) -> Awaitable[None]:
        if self._unawaited_bytes + len(body) > UNAWAITED_BYTES_MAX:
            raise BufferError("await respond_raw(...): too much is waiting for a slow client")
        self._unawaited_bytes += len(body)
        before = self._last_write

        async def write() -> None:
            try:
                if before is not None:
                    await before
                await self._send_async(body, Mode.RAW)
            finally:
                self._unawaited_bytes -= len(body)
            if finish:
                self._end_now(_Ending(0, None, b""))

        self._last_write = self._loop.create_task(write())
        return self._last_write


def _retry_after_seconds(error: BaseException) -> int:
    """Return the whole seconds (RFC 9110, 10.2.3) that an error asks for, or 1."""
    seconds = getattr(error, "retry_after_seconds", None)
    if not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        return 1
    return math.ceil(min(seconds, RETRY_AFTER_SECONDS_MAX))
