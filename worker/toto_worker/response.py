"""The answer of one call: sent piece by piece or at once, and ended exactly once."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from toto._core.failure import Failure
from toto._core.logs import REQUEST_ID
from toto._wire.constants import STREAM_CHUNK_BYTES, Mode
from toto._wire.messages import Item, Push
from toto_worker.answers import AnswerEncoder, Ending
from toto_worker.call import WorkerCall
from toto_worker.failures import log_failure
from toto_worker.ports import TransportPort

__all__ = ["CallResponse"]

_log = logging.getLogger("toto.method")

UNAWAITED_BYTES_MAX = 8 * 1024 * 1024
"""What a coroutine may hand to respond_raw without awaiting any of it."""


class _Done:
    """An awaitable that has already happened."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class _Shielded:
    """Awaits a write. Whoever loses patience leaves, but a message is never cut in the middle."""

    def __init__(self, write: asyncio.Task[None]) -> None:
        self._write = write

    def __await__(self) -> Generator[Any, None, None]:
        return asyncio.shield(self._write).__await__()


class CallResponse:
    """The ``ResponsePort`` of one call. Its methods may be called by any thread.

    The executor uses ``complete``/``fail`` and then ``close``, so that the answer and the news that
    the slot is free travel in one message; answers given earlier by the method go out at once.
    """

    def __init__(
        self,
        call: WorkerCall,
        transport: TransportPort,
        encoder: AnswerEncoder,
        *,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.encoder = encoder
        self._call = call
        self._transport = transport
        self._loop = loop
        # One that is held while the answer is encoded: a status that another thread sets either is
        # part of it or is not.
        self._lock = threading.RLock()
        self._has_ended = False
        self._is_sent = False
        self._ending: Ending | None = None
        self._stream_mode: Mode | None = None
        self._sequence = 0
        self._content_type = ""
        self._unawaited_bytes = 0
        self._last_write: asyncio.Task[None] | None = None
        self._ended_event: asyncio.Event | None = None

    # -- ResponsePort

    @property
    def response_type(self) -> str:
        """Content type the result is encoded in."""
        return self.encoder.response_type

    @response_type.setter
    def response_type(self, content_type: str) -> None:
        self.encoder.response_type = content_type

    def respond(self, result: Any, error: BaseException | None) -> None:
        """End the call now, although its method may still run."""
        if self._refuse_second():
            return
        self._await_writes()
        self._end_after_writes(
            lambda: self._encoded(result) if error is None else self._encoded_error(error)
        )

    def respond_raw(self, body: bytes, content_type: str, *, finish: bool) -> Awaitable[None]:
        """Send bytes; on the event loop the returned awaitable waits for the client."""
        if self._refuse_second():
            return _Done()
        self._await_writes()
        is_first = self._stream_mode is None and self._last_write is None
        if is_first:
            self._content_type = content_type
        if is_first and finish:
            self._end_now(self.encoder.raw(body, content_type))
            return _Done()
        if self._is_on_loop:
            return self._write_on_loop(body, self._send_raw, finish=finish)
        self._send_blocking(body, Mode.RAW)
        if finish:
            self._end_now(Ending(0, None, b""))
        return _Done()

    def send_message(self, message: Any) -> Awaitable[None]:
        """Send a message beside the answer; messages of several threads go one by one."""
        data = self.encoder.message(message)
        if self._refuse_second():
            return _Done()
        if self._is_on_loop:
            return self._write_on_loop(data, self._send_push)
        self._refuse_to_wait()

        async def send() -> None:
            await self._write_on_loop(data, self._send_push, is_awaited=True)

        asyncio.run_coroutine_threadsafe(send(), self._loop).result()
        return _Done()

    def redirect(self, url: str, status: int) -> None:
        """End the call by sending the client elsewhere; a stream that has begun just ends."""
        if self._refuse_second():
            return
        self._await_writes()
        self._end_after_writes(lambda: self._redirected(url, status))

    def _redirected(self, url: str, status: int) -> Ending:
        if self._stream_mode is None:
            return self.encoder.redirect(url, status)
        return self.encoder.end_of_stream(self._stream_mode)

    def set_status(self, status: int) -> None:
        """Choose the HTTP status."""
        with self._lock:
            self.encoder.set_status(status)

    def set_header(self, name: str, value: str) -> None:
        """Set a header."""
        with self._lock:
            self.encoder.set_header(name, value)

    def add_header(self, name: str, value: str) -> None:
        """Add a header."""
        with self._lock:
            self.encoder.add_header(name, value)

    def on_wind_up(self, hook: Callable[[], None]) -> None:
        """Call ``hook``, in whatever thread, when the call should end if it merely waits."""
        self._call.on_wind_up(hook)

    def error_info(self, error: BaseException) -> dict[str, Any]:
        """Return the error object for an exception."""
        return self.encoder.error_info(error)

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
        if not self._has_ended:
            self._set_ending(self._encoded(result))

    def complete_stream(self) -> None:
        """The generator is at its end."""
        if self._stream_mode is None:
            self._set_ending(self.encoder.empty_stream())
        else:
            self._set_ending(self.encoder.end_of_stream(self._stream_mode))

    def fail(self, error: BaseException) -> None:
        """The method raised: that is the answer, unless it gave one already."""
        if self._has_ended:
            message = self._call.message
            log_failure(error, method=message.method, request_id=message.request.request_id)
        else:
            self._set_ending(self._encoded_error(error))

    def refuse(self, failure: Failure) -> None:
        """The call ends before its method began."""
        self._set_ending(self.encoder.refusal(failure))

    def close(self, microseconds: int) -> None:
        """The method is done with: free the slot, and send the answer if it is still due."""
        desk, call = self._transport.desk, self._call
        with self._lock:
            ending, self._ending = self._ending, None
            is_sent, self._is_sent, self._has_ended = self._is_sent, True, True
        if is_sent:
            self._transport.post(lambda: desk.release(call, microseconds))
        else:
            code, head, payload = ending or self.encoder.nothing()
            self._transport.post(lambda: desk.finish(call, code, head, payload, microseconds))
        write = self._last_write
        if write is not None and not write.done():
            # Nobody has awaited it, and no credit comes any more.
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(write.cancel)
        self._tell_waiter()

    def send_item(self, value: Any) -> None:
        """Stream one item from a thread; waits while the client is slow.

        Raises:
            CallCancelled: when nobody waits any more.
            NotSerializable: when the item cannot be encoded.
        """
        self._send_blocking(*self.encoder.item(value))

    async def send_item_async(self, value: Any) -> None:
        """Stream one item from the event loop; otherwise as ``send_item``."""
        data, mode, key = self.encoder.item(value)
        await self._send_async(
            data, lambda piece, more: self._post_piece(piece, mode, key, more=more)
        )

    async def wait_ended(self) -> None:
        """Wait on the event loop until the call has been answered."""
        with self._lock:
            if self._has_ended:
                return
            event = self._ended_event = asyncio.Event()
        await event.wait()

    async def flush(self) -> None:
        """Wait for what respond_raw was given on the event loop."""
        write = self._last_write
        if write is not None:
            await asyncio.wait([write])
            if not write.cancelled():  # somebody may have lost patience with it
                write.result()

    # -- endings

    def _refuse_second(self) -> bool:
        if self._has_ended:
            message = self._call.message
            # Set here too, because a method may answer from a thread of its own.
            token = REQUEST_ID.set(message.request.request_id)
            _log.debug("%s answers a second time", message.method)
            REQUEST_ID.reset(token)
        return self._has_ended

    @property
    def _is_on_loop(self) -> bool:
        return asyncio._get_running_loop() is self._loop

    def _refuse_to_wait(self) -> None:
        if self._transport.is_current:
            raise RuntimeError("a finalizer cannot wait for the client")

    def _await_writes(self) -> None:
        """In a thread: let what coroutines have begun to write go first."""
        write = self._last_write
        if write is not None and not write.done() and not self._is_on_loop:
            self._refuse_to_wait()
            asyncio.run_coroutine_threadsafe(self.flush(), self._loop).result()

    def _end_after_writes(self, make_ending: Callable[[], Ending]) -> None:
        """End the call, behind what the event loop is still writing."""
        before = self._last_write
        if before is None or before.done() or not self._is_on_loop:
            self._end_now(make_ending())  # a thread has waited for them already
            return

        async def end() -> None:
            await asyncio.wait([before])
            self._end_now(make_ending())

        self._last_write = self._loop.create_task(end())

    def _set_ending(self, ending: Ending) -> None:
        with self._lock:
            if self._refuse_second():
                return
            self._has_ended = True
            self._ending = ending

    def _end_now(self, ending: Ending) -> None:
        desk, call = self._transport.desk, self._call
        with self._lock:
            if self._refuse_second():
                return
            self._has_ended = self._is_sent = True
        # Whoever still yields or writes learns that it is in vain, and so who waits for events.
        call.window.close()
        call.wind_up()
        code, head, payload = ending
        self._transport.post(lambda: desk.answer(call, code, head, payload))
        self._tell_waiter()

    def _tell_waiter(self) -> None:
        event = self._ended_event
        if event is not None:
            self._loop.call_soon_threadsafe(event.set)

    def _encoded(self, result: Any) -> Ending:
        if self._stream_mode is not None:
            return self.encoder.end_of_stream(self._stream_mode)
        with self._lock:
            return self.encoder.result(result)

    def _encoded_error(self, error: BaseException) -> Ending:
        with self._lock:
            return self.encoder.error(error, is_streaming=self._stream_mode is not None)

    # -- streams

    def _send_blocking(self, data: bytes, mode: Mode, key: str = "") -> None:
        self._refuse_to_wait()
        offset = 0
        while True:
            size = self._call.window.take(min(STREAM_CHUNK_BYTES, len(data) - offset))
            more = offset + size < len(data)
            self._post_piece(data[offset : offset + size], mode, key, more=more)
            offset += size
            if not more:
                return

    async def _send_async(self, data: bytes, post: Callable[[bytes, bool], None]) -> None:
        offset = 0
        while True:
            left = min(STREAM_CHUNK_BYTES, len(data) - offset)
            size = await self._call.window.take_async(left)
            more = offset + size < len(data)
            post(data[offset : offset + size], more)
            offset += size
            if not more:
                return

    async def _send_raw(self, data: bytes) -> None:
        await self._send_async(
            data, lambda piece, more: self._post_piece(piece, Mode.RAW, "", more=more)
        )

    async def _send_push(self, data: bytes) -> None:
        desk, call = self._transport.desk, self._call

        def post(piece: bytes, more: bool) -> None:
            message = Push(call.message.call, call.message.attempt, more)
            self._transport.post(lambda: desk.piece(call, message, piece))

        await self._send_async(data, post)

    def _post_piece(self, piece: bytes, mode: Mode, key: str, *, more: bool) -> None:
        desk, call = self._transport.desk, self._call
        head = None
        if self._stream_mode is None:
            content_type = self._content_type or self.encoder.response_type
            head = self.encoder.stream_head(mode, content_type)
            self._stream_mode = mode
        item = Item(call.message.call, call.message.attempt, self._sequence, more, head, key)
        self._sequence += 1
        self._transport.post(lambda: desk.piece(call, item, piece))

    def _write_on_loop(
        self,
        body: bytes,
        send: Callable[[bytes], Coroutine[Any, Any, None]],
        *,
        finish: bool = False,
        is_awaited: bool = False,
    ) -> Awaitable[None]:
        size = 0 if is_awaited else len(body)  # the thread that waits sends no more meanwhile
        if self._unawaited_bytes + size > UNAWAITED_BYTES_MAX:
            raise BufferError("await what is sent: too much is waiting for a slow client")
        self._unawaited_bytes += size
        before = self._last_write

        async def write() -> None:
            try:
                if before is not None:
                    await asyncio.wait([before])  # however it ends
                await send(body)
            finally:
                self._unawaited_bytes -= size
            if finish:
                self._end_now(Ending(0, None, b""))

        self._last_write = self._loop.create_task(write())
        return _Shielded(self._last_write)
