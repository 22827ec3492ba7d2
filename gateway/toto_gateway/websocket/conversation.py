"""What goes on over one socket: its calls by their ids, how many there are, and whose. No I/O."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, replace

from toto._core.failure import Failure
from toto._core.formats.format import Format
from toto._core.logs import REQUEST_ID
from toto._core.stores.record import SessionRecord
from toto._wire.constants import METHOD_NAME_LENGTH_MAX
from toto_gateway.batch_hooks import BATCH_NAME
from toto_gateway.calls import Calls
from toto_gateway.decoding import BatchCall, Decoder, RequestRefused, SingleCall
from toto_gateway.request import Request, request_id_of
from toto_gateway.websocket.call import SocketCall
from toto_gateway.websocket.flow import ItemCredit
from toto_gateway.websocket.messages import (
    AddCredit,
    CallId,
    CancelCall,
    ChangeSession,
    ServerMessages,
    StartCall,
    Unreadable,
    read_message,
)
from toto_gateway.websocket.outlet import Outlet
from toto_gateway.websocket.session import SocketSession

__all__ = ["Conversation", "Handshake", "SocketServices"]

_access_log = logging.getLogger("toto.access")

CREDIT_PATIENCE_SECONDS = 60.0
"""As long as a client that reads nothing is waited for; see ``ItemCredit``."""
GOING_AWAY = 1001


@dataclass(frozen=True, slots=True)
class Handshake:
    """The request that has opened a socket."""

    signed: Request
    """As it was sent: what a signature covers."""
    shown: Request
    """What methods see of it, without its credential."""
    session_id: str
    """The credential; empty = none."""
    is_cookie: bool


@dataclass(frozen=True, slots=True)
class SocketServices:
    """What all sockets of a gateway process share."""

    calls: Calls
    decoder: Decoder
    text_format: Format
    binary_format: Format | None
    """None when it is not enabled."""
    on_ended: Callable[[SessionRecord], None]
    """Told of sessions that methods have ended."""
    calls_max: int
    """Under way at once on one socket."""
    access_log: bool
    credit_patience_seconds: float = CREDIT_PATIENCE_SECONDS


class Conversation:
    """Answers the messages of one client.

    A call is under way until its last message is written. Until the kernel has taken that it is
    kept, and there may be twice as many of both as there may be under way.

    Args:
        services: shared by all sockets.
        handshake: how this one was opened.
        outlet: to the client.
    """

    def __init__(self, services: SocketServices, handshake: Handshake, outlet: Outlet) -> None:
        self._services = services
        self._handshake = handshake
        self._outlet = outlet
        admission = services.calls.admission
        self._session = SocketSession(admission, handshake.signed, services.on_ended)
        self._tasks: dict[asyncio.Task[None], SocketCall] = {}
        self._by_id: dict[CallId, asyncio.Task[None]] = {}
        self._cancelled: set[asyncio.Task[None]] = set()
        """By the client; what is left of them does not count among the calls under way."""
        self._calls_begun = 0
        self._is_draining = False
        self._is_closed = False

    async def open(self) -> None:
        """Find out whose socket it is."""
        handshake = self._handshake
        await self._session.open(handshake.session_id, is_cookie=handshake.is_cookie)

    async def on_message(self, body: bytes, *, is_text: bool) -> None:
        """Do what the client wants. Its next message waits until this one is understood."""
        services = self._services
        body_format = services.text_format if is_text else services.binary_format
        if body_format is None:
            messages = ServerMessages(services.text_format, None)
            self._refuse(messages, Failure.unsupported_media_type())
            return
        message = read_message(body, body_format)
        match message:
            case StartCall():
                await self._start(message, body, body_format)
            case CancelCall():
                self._cancel(message.call_id)
            case AddCredit():
                call = self._call_under_way(message.call_id)
                if call is not None:
                    call.credit.add(message.items)
            case ChangeSession():
                await self._change_session(message, body_format)
            case Unreadable():
                messages = ServerMessages(body_format, message.call_id)
                self._refuse(messages, Failure.malformed(message.reason))

    def drain(self) -> None:
        """Take no new calls, and say goodbye when those under way have ended."""
        self._is_draining = True
        self._leave_when_done()

    def close(self) -> None:
        """The client has gone, or has broken the rules: end all its calls."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        """Return when the calls have ended; after ``close``."""
        tasks = (*self._tasks, *self._cancelled)
        if tasks:
            await asyncio.wait(tasks)

    # -- messages

    async def _start(self, message: StartCall, body: bytes, body_format: Format) -> None:
        self._calls_begun += 1
        if message.session is None:
            await self._session.retry()
        else:
            await self._session.change(message.session)
        if self._is_closed:
            return
        request_id = self._request_id_of(message.request_id)
        context = copy_context()
        context.run(REQUEST_ID.set, request_id)
        messages = ServerMessages(body_format, message.call_id)
        call = self._refusal_of(message) or self._call_of(message, body, body_format)
        if isinstance(call, Failure):
            self._refuse(messages, call, request_id)
            context.run(self._log, message, call.code, 0.0)
            return
        services = self._services
        request = replace(self._handshake.shown, body=body, request_id=request_id)
        credit = ItemCredit(message.credit, patience_seconds=services.credit_patience_seconds)
        self._run(
            message,
            SocketCall(
                services.calls, self._session, self._outlet, messages, request, call, credit
            ),
            context,
        )

    def _run(self, message: StartCall, call: SocketCall, context: Context) -> None:
        task = asyncio.get_running_loop().create_task(call.run(), context=context)
        self._tasks[task] = call
        if message.call_id is not None:
            self._by_id[message.call_id] = task

        def on_done(task: asyncio.Task[None]) -> None:
            self._tasks.pop(task, None)
            self._cancelled.discard(task)
            if message.call_id is not None and self._by_id.get(message.call_id) is task:
                del self._by_id[message.call_id]
            self._log(message, call.code, time.perf_counter() - call.started_at)
            self._leave_when_done()

        task.add_done_callback(on_done, context=context)

    def _refusal_of(self, message: StartCall) -> Failure | None:
        if message.call_id is not None and self._call_under_way(message.call_id) is not None:
            return Failure.malformed("a call with this id is under way")
        if self._is_draining:
            return Failure.draining()
        if self._is_full():
            return Failure.overloaded()
        return None

    def _is_full(self) -> bool:
        """Tell whether another call would be too many.

        One whose answer is on its way leaves room: its client may have read it already. But there
        may be no more of those than of the others, for a client that reads nothing.
        """
        calls_max = self._services.calls_max
        if len(self._tasks) < calls_max:
            return False
        under_way = sum(not call.is_answered for call in self._tasks.values())
        return under_way >= calls_max or len(self._tasks) >= 2 * calls_max

    def _call_of(
        self, message: StartCall, body: bytes, body_format: Format
    ) -> SingleCall | BatchCall | Failure:
        if message.batch is not None:
            try:
                return self._services.decoder.batch_of(message.batch, body_format)
            except RequestRefused as refused:
                return refused.failure
        if len(message.method) > METHOD_NAME_LENGTH_MAX:
            return Failure.invalid_method(message.method)
        return SingleCall(message.method, body, body_format.content_type, body_format)

    def _cancel(self, call_id: CallId) -> None:
        call = self._call_under_way(call_id)
        if call is None:
            return
        task = self._by_id.pop(call_id)
        del self._tasks[task]
        self._cancelled.add(task)
        task.cancel()
        # A task that is cancelled says nothing more, so this is the last that is said.
        self._outlet.put(call.messages.cancelled(), is_text=call.messages.is_text)

    async def _change_session(self, message: ChangeSession, body_format: Format) -> None:
        messages = ServerMessages(body_format, message.call_id)
        caller = await self._session.change(message.session)
        if caller.failure is not None:
            self._refuse(messages, caller.failure)
        else:
            self._outlet.put(messages.session(caller.record), is_text=messages.is_text)

    # -- inside

    def _call_under_way(self, call_id: CallId) -> SocketCall | None:
        """Return the call of an id, unless its answer is on its way already."""
        task = self._by_id.get(call_id)
        call = None if task is None else self._tasks[task]
        return None if call is None or call.is_answered else call

    def _request_id_of(self, given: str) -> str:
        if given and request_id_of(given) == given:
            return given
        return f"{self._handshake.shown.request_id}-{self._calls_begun}"

    def _refuse(self, messages: ServerMessages, failure: Failure, request_id: str = "") -> None:
        request_id = request_id or self._handshake.shown.request_id
        self._outlet.put(messages.failure(failure, request_id), is_text=messages.is_text)

    def _leave_when_done(self) -> None:
        if self._is_draining and not self._tasks and not self._is_closed:
            self._outlet.close(GOING_AWAY)

    def _log(self, message: StartCall, code: int, seconds: float) -> None:
        if self._services.access_log:
            shown = self._handshake.shown
            method = message.method if message.batch is None else BATCH_NAME
            _access_log.info(
                "WS %s %s %d %.1f ms %s", shown.path, method, code, seconds * 1000, shown.remote_ip
            )
