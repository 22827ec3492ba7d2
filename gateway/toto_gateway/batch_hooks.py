"""The application's hooks around a whole batch, under the name ``<batch>``."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from toto._core.hooks import HookedHandler
from toto._core.ports import HandlerPorts
from toto._core.request import Headers
from toto._core.request import Request as HandlerRequest
from toto.handler import TotoHandler
from toto.session import TotoSession
from toto_gateway.request import Request

__all__ = ["BATCH_NAME", "BatchHooks"]

_log = logging.getLogger("toto.gateway")

BATCH_NAME = "<batch>"


class BatchHooks:
    """Calls the hooks for one batch; its members call them in their workers.

    Args:
        request: the whole request.
        timeout_seconds: what its members may take.
    """

    def __init__(self, request: Request, *, timeout_seconds: float) -> None:
        self._handler: TotoHandler | None = None
        self._request = request
        self._timeout_seconds = timeout_seconds

    def begin(self) -> None:
        """Before the first member."""
        hooks = HookedHandler.call_hooks
        if hooks.before is None and hooks.after is None:
            return
        self._handler = handler = self._make_handler()
        if hooks.before is not None:
            _run(hooks.before, handler, handler.transaction_id, BATCH_NAME)

    def end(self) -> None:
        """After the last member."""
        after, handler = HookedHandler.call_hooks.after, self._handler
        if after is not None and handler is not None:
            _run(after, handler, handler.transaction_id)

    def _make_handler(self) -> TotoHandler:
        request = self._request
        shown = HandlerRequest(
            request.verb,
            request.uri,
            Headers(request.headers),
            request.body,
            request.remote_ip,
            request.header("content-type"),
        )
        answerless = _Answerless()
        return TotoHandler(
            shown,
            HandlerPorts(answerless, answerless, answerless),
            request_id=request.request_id,
            deadline=time.monotonic() + self._timeout_seconds,
        )


class _Answerless:
    """The ports of a handler that stands for a batch: it can be looked at, and does nothing."""

    response_type = ""
    session: TotoSession | None = None
    is_cancelled = False
    has_ended = False

    @property
    def connection(self) -> NoReturn:
        """There is none for hooks: they must not block the gateway."""
        _refuse()

    def respond(self, result: Any, error: BaseException | None) -> None:
        """Refuse."""
        _refuse()

    def respond_raw(self, body: bytes, content_type: str, *, finish: bool) -> Awaitable[None]:
        """Refuse."""
        _refuse()

    def send_message(self, message: Any) -> Awaitable[None]:
        """Refuse."""
        _refuse()

    def redirect(self, url: str, status: int) -> None:
        """Refuse."""
        _refuse()

    def set_status(self, status: int) -> None:
        """Refuse."""
        _refuse()

    def set_header(self, name: str, value: str) -> None:
        """Refuse."""
        _refuse()

    def add_header(self, name: str, value: str) -> None:
        """Refuse."""
        _refuse()

    def on_wind_up(self, hook: Callable[[], None]) -> None:
        """Refuse."""
        _refuse()

    def error_info(self, error: BaseException) -> dict[str, Any]:
        """Refuse."""
        _refuse()

    def retrieve(self, session_id: str | None) -> None:
        """Refuse."""
        _refuse()

    def create(self, user_id: str | None, password: str | None, verify: bool) -> NoReturn:
        """Refuse."""
        _refuse()

    def call(self, method: str, parameters: Any) -> Awaitable[Any]:
        """Refuse."""
        _refuse()

    def call_sync(self, method: str, parameters: Any) -> Any:
        """Refuse."""
        _refuse()


def _refuse() -> NoReturn:
    raise RuntimeError("the handler of a whole batch only tells of its request")


def _run(hook: Callable[..., Any], *arguments: Any) -> None:
    try:
        hook(*arguments)
    except Exception:  # noqa: BLE001  # the edge: it is the application's code
        _log.exception("a hook of %s failed", BATCH_NAME)
