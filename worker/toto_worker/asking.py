"""Methods that call other methods: through a gateway, to whichever worker is free."""

import asyncio
import contextlib
from collections.abc import Awaitable
from concurrent.futures import CancelledError, Future
from typing import Any

from toto._core.failure import METHOD_NAME_SHOWN_MAX, Failure
from toto._core.formats.errors import NotSerializable
from toto._core.formats.registry import FormatRegistry
from toto._wire.constants import METHOD_NAME_LENGTH_MAX, RESPONSE_BYTES_MAX
from toto.exceptions import ERROR_SERVER, TotoException
from toto.session import TotoSession
from toto_worker.asks import AskAnswer, AskFuture, AskRequest
from toto_worker.call import WorkerCall
from toto_worker.failures import CalledMethodFailed
from toto_worker.ports import TransportPort
from toto_worker.response import CallResponse
from toto_worker.sessions import CallSessions
from toto_worker.window import CallCancelled

__all__ = ["CallAsker"]


class CallAsker:
    """The ``CallPort`` of one call.

    Args:
        call: the call whose method asks.
        transport: takes the question to the gateway that the call came from.
        response: tells whether the call has been answered.
        sessions: the session that goes along, and that may come back changed.
        formats: calls of methods speak msgpack.
        loop: the event loop of the methods' coroutines.
    """

    def __init__(
        self,
        call: WorkerCall,
        transport: TransportPort,
        response: CallResponse,
        sessions: CallSessions,
        formats: FormatRegistry,
        *,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._call = call
        self._transport = transport
        self._response = response
        self._sessions = sessions
        self._formats = formats
        self._loop = loop
        self._open: set[AskFuture] = set()
        self._is_watching = False

    def call(self, method: str, parameters: Any) -> Awaitable[Any]:
        """Call a method; may be awaited on any event loop."""
        loop = asyncio.get_running_loop()  # before anything is sent, for there may be none
        return self._wait(*self._ask(method, parameters), loop)

    def call_sync(self, method: str, parameters: Any) -> Any:
        """Call a method and wait.

        Raises:
            RuntimeError: in the thread of the worker's event loop.
        """
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("await handler.call(...) on an event loop, instead of call_sync")
        if self._transport.is_current:
            raise RuntimeError("a finalizer cannot wait for another method")
        try:
            future, carried = self._ask(method, parameters)
            return self._result(future.result(), carried)
        except CancelledError:
            # An Exception, which the method might take for its own affair.
            raise CallCancelled from None

    async def _wait(
        self, future: AskFuture, carried: TotoSession | None, loop: asyncio.AbstractEventLoop
    ) -> Any:
        return self._result(await asyncio.wrap_future(future, loop=loop), carried)

    def _ask(self, method: str, parameters: Any) -> tuple[AskFuture, TotoSession | None]:
        if self._call.is_cancelled:
            raise CallCancelled
        if self._response.has_ended:
            raise RuntimeError("the call has been answered: it can call no other method any more")
        session, carried = self._sessions.carried()
        request = AskRequest(_checked_name(method), self._encoded(parameters), session)
        future: AskFuture = Future()
        self._open.add(future)
        future.add_done_callback(self._forget)
        if not self._is_watching:
            self._is_watching = True
            self._call.on_cancel(self._cancel_all)
        asks, call = self._transport.desk.asks, self._call
        self._transport.post(lambda: asks.send(call, request, future))
        return future, carried

    def _forget(self, future: AskFuture) -> None:
        self._open.discard(future)
        if future.cancelled():
            asks = self._transport.desk.asks
            self._transport.post(lambda: asks.withdraw(future))

    def _cancel_all(self) -> None:
        for future in list(self._open):
            future.cancel()

    def _encoded(self, parameters: Any) -> bytes:
        given = {} if parameters is None else parameters
        try:
            body = self._formats.msgpack.encode_item({"parameters": given})
        except NotSerializable as error:
            text = f"The parameters cannot be encoded: {error}"
            raise TotoException(ERROR_SERVER, text) from None
        if len(body) > RESPONSE_BYTES_MAX:
            failure = Failure.too_large(RESPONSE_BYTES_MAX)
            raise TotoException(failure.code, failure.value)
        return body

    def _result(self, answer: AskAnswer, carried: TotoSession | None) -> Any:
        with contextlib.suppress(TotoException):  # a session that cannot be read is not adopted
            self._sessions.adopt_nested(answer.session, carried, is_ended=answer.is_session_ended)
        document = self._formats.msgpack.loads(answer.document)
        if answer.code:
            raise CalledMethodFailed(document["error"])
        return document["result"]


def _checked_name(method: object) -> str:
    name = str.__str__(method) if isinstance(method, str) else repr(method)
    if isinstance(method, str) and name.isascii() and 0 < len(name) <= METHOD_NAME_LENGTH_MAX:
        return name
    failure = Failure.invalid_method(ascii(name)[1 : METHOD_NAME_SHOWN_MAX + 1].rstrip("'"))
    raise TotoException(failure.code, failure.value)
