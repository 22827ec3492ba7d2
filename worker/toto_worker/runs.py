"""One run of a method: the call, the handler it is given, and what happens before and after it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from toto._core.formats.registry import FormatRegistry
from toto._core.parameters import decode_parameters
from toto._core.ports import HandlerPorts
from toto._core.request import Headers, Request
from toto._wire.messages import RequestInfo
from toto.handler import BatchHandlerProxy, TotoHandler
from toto_worker.asking import CallAsker
from toto_worker.call import WorkerCall
from toto_worker.methods import Method
from toto_worker.response import CallResponse
from toto_worker.sessions import CallSessions

__all__ = ["Run", "make_run"]

_log = logging.getLogger("toto.method")


@dataclass(frozen=True, slots=True)
class Run:
    """What the executor runs."""

    call: WorkerCall
    method: Method
    handler: TotoHandler | BatchHandlerProxy
    """What the method is given."""
    response: CallResponse
    sessions: CallSessions
    formats: FormatRegistry

    @property
    def request_id(self) -> str:
        """Names the HTTP request in the logs."""
        return self.call.message.request.request_id

    def parameters(self) -> Any:
        """Return the second argument of ``invoke``.

        Raises:
            MalformedBody: the body is not what its content type says.
            TotoException: the name of a JSONP callback is not one.
        """
        parameters = decode_parameters(self.handler.request, self.formats)
        if self.method.traits.jsonp_parameter:
            self.response.encoder.take_callback(parameters)
        return parameters

    def begin(self) -> None:
        """Call the application's hook before the method."""
        before = TotoHandler.call_hooks.before
        if before is not None:
            self._run_hook(before, self.handler, self.handler.transaction_id, self.method.name)

    def end(self, microseconds: int) -> None:
        """Call the application's hook, send what is still due, and free the slot."""
        _core(self.handler).on_finish()
        after = TotoHandler.call_hooks.after
        if after is not None:
            # Before the answer leaves: the hook of a whole batch comes after those of its members.
            self._run_hook(after, self.handler, self.handler.transaction_id)
        self.response.close(microseconds)
        self.call.drop_hooks()

    def on_client_gone(self) -> None:
        """Tell the method's module, once."""
        self._run_hook(self.handler.on_connection_close)

    def _run_hook(self, hook: Callable[..., Any], *arguments: Any) -> None:
        try:
            hook(*arguments)
        except BaseException:  # noqa: BLE001  # the edge: it is the user's code
            _log.exception("a hook of %s failed", self.method.name)


def make_run(
    call: WorkerCall,
    method: Method,
    response: CallResponse,
    sessions: CallSessions,
    asker: CallAsker,
    formats: FormatRegistry,
) -> Run:
    """Put together what one call needs."""
    info = call.message.request
    handler = TotoHandler(
        _request_of(info, call.body()),
        HandlerPorts(response, sessions, asker),
        request_id=info.request_id,
        deadline=call.deadline,
        close_hook=method.on_connection_close,
    )
    shown = handler if info.batch_key is None else BatchHandlerProxy(handler, info.batch_key)
    return Run(call, method, shown, response, sessions, formats)


def _core(handler: TotoHandler | BatchHandlerProxy) -> TotoHandler:
    return handler.handler if isinstance(handler, BatchHandlerProxy) else handler


def _request_of(info: RequestInfo, body: bytes) -> Request:
    headers = Headers(info.headers)
    return Request(info.verb, info.uri, headers, body, info.remote_ip, info.content_type)
