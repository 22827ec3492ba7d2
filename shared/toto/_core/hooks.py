"""Functions of the application that the startup function puts into the handler class."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from toto._core.request import Request
    from toto.session import TotoSession

__all__ = ["CallHooks", "HmacHandlers", "HookedHandler"]


@dataclass(frozen=True, slots=True)
class HmacHandlers:
    """What an application put in the place of the built-in signatures; None keeps those."""

    request: "Callable[[TotoSession, Request, Mapping[str, str]], Any] | None" = None
    response: "Callable[[TotoSession, bytes], str] | None" = None


@dataclass(frozen=True, slots=True)
class CallHooks:
    """What runs before and after each call; None runs nothing."""

    before: Callable[..., Any] | None = None
    """Called as ``before(handler, transaction_id, method)``."""
    after: Callable[..., Any] | None = None
    """Called as ``after(handler, transaction_id)``."""


class HookedHandler:
    """The part of ``TotoHandler`` that keeps the application's functions, one set a process."""

    hmac_handlers: ClassVar[HmacHandlers] = HmacHandlers()
    """Set by the startup function, before the process serves."""
    call_hooks: ClassVar[CallHooks] = CallHooks()
    """Set by the startup function, before the process serves."""

    @classmethod
    def set_hmac_handler(
        cls, handler: "Callable[[TotoSession, Request, Mapping[str, str]], Any]"
    ) -> None:
        """Replace the check of request signatures (option ``hmac_enabled``).

        Args:
            handler: called as ``handler(session, request, headers)`` in the gateway, before the
                call is forwarded; it must not block. It returns if the signature is right, and
                else raises ``TotoException(ERROR_INVALID_HMAC, ...)`` or returns False. The body
                is the whole body received; header names are lower-case.

        Raises:
            TypeError: for a coroutine function, whose answer would come too late.
        """
        _refuse_coroutine(handler)
        HookedHandler.hmac_handlers = replace(HookedHandler.hmac_handlers, request=handler)

    @classmethod
    def set_response_hmac_handler(cls, handler: "Callable[[TotoSession, bytes], str]") -> None:
        """Replace the signature of responses (option ``hmac_enabled``).

        Args:
            handler: called as ``handler(session, response_body)`` in the gateway; what it returns
                is sent as ``x-toto-hmac``. It must not block.

        Raises:
            TypeError: for a coroutine function.
        """
        _refuse_coroutine(handler)
        HookedHandler.hmac_handlers = replace(HookedHandler.hmac_handlers, response=handler)

    @classmethod
    def set_before_handler(cls, handler: Callable[..., Any]) -> None:
        """Have a function run before each method, for instrumentation.

        Args:
            handler: called as ``handler(handler, transaction_id, method)`` in the worker, in the
                thread or on the loop where the method runs, before anything of the method; the
                members of a batch each. For a whole batch it is called in the gateway with the
                method ``"<batch>"``, where it must not block; that handler tells of the request
                and answers nothing. What it raises is logged, and does not touch the call.

        Raises:
            TypeError: for a coroutine function.
        """
        _refuse_coroutine(handler)
        HookedHandler.call_hooks = replace(HookedHandler.call_hooks, before=handler)

    @classmethod
    def set_after_handler(cls, handler: Callable[..., Any]) -> None:
        """Have a function run after each method, once its answer is settled.

        Args:
            handler: called as ``handler(handler, transaction_id)``, with the id that the function
                before the method was given, and under the same conditions.

        Raises:
            TypeError: for a coroutine function.
        """
        _refuse_coroutine(handler)
        HookedHandler.call_hooks = replace(HookedHandler.call_hooks, after=handler)


def _refuse_coroutine(handler: object) -> None:
    if inspect.iscoroutinefunction(handler):
        raise TypeError("a handler of this kind must be a plain function, not async")
