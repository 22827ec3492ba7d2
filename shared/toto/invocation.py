"""Decorators for ``invoke`` functions. They may stand in any order and keep the docstring.

What a decorator says of sessions also reaches the gateway, which refuses a call it can decide on
without troubling a worker; the decorator checks again.
"""

import copy
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from toto._wire.constants import Policy
from toto.exceptions import ERROR_MISSING_PARAMS, ERROR_NOT_AUTHORIZED, TotoException

__all__ = [
    "anonymous_session",
    "asynchronous",
    "authenticated",
    "authenticated_with_parameter",
    "default_parameters",
    "optionally_authenticated",
    "requires",
]

Invoke = Callable[..., Any]
_F = TypeVar("_F", bound=Callable[..., object])

ASYNCHRONOUS_ATTRIBUTE = "__toto_asynchronous__"
POLICY_ATTRIBUTE = "__toto_policy__"


def asynchronous(fn: _F) -> _F:
    """Let a method return before it has answered.

    The function runs on the worker's event loop, so it must not block. If it returns None the call
    stays open until ``handler.respond(...)`` is called, from any thread; any other value answers
    the call at once.
    """
    setattr(fn, ASYNCHRONOUS_ATTRIBUTE, True)
    return fn


def anonymous_session(fn: Invoke) -> Invoke:
    """Give the method a session: the caller's, or a new anonymous one if it has none."""

    def prepare(handler: Any, parameters: Any) -> None:
        if handler.retrieve_session() is None:
            handler.create_session()

    return _prepared(fn, prepare, Policy.SESSION | Policy.CREATES)


def optionally_authenticated(fn: Invoke) -> Invoke:
    """Give the method the caller's session, or None in ``handler.session``."""

    def prepare(handler: Any, parameters: Any) -> None:
        handler.retrieve_session()

    return _prepared(fn, prepare, Policy.SESSION)


def authenticated(fn: Invoke) -> Invoke:
    """Let only users call the method: without a user's session error 1004 is raised."""

    def prepare(handler: Any, parameters: Any) -> None:
        _require_user(handler.retrieve_session())

    return _prepared(fn, prepare, Policy.SESSION | Policy.USER)


def authenticated_with_parameter(fn: Invoke) -> Invoke:
    """As ``authenticated``, with the session id in ``parameters["session_id"]``.

    The method does not see that parameter. Without it the header or cookie counts.
    """

    def prepare(handler: Any, parameters: Any) -> None:
        session_id = take_session_id(parameters)
        _require_user(handler.retrieve_session(session_id or None))

    return _prepared(fn, prepare, Policy.SESSION | Policy.USER | Policy.PARAMETER)


def requires(*names: str) -> Callable[[Invoke], Invoke]:
    """Raise error 1003, which lists them, when parameters are missing."""

    def check(handler: Any, parameters: Any) -> None:
        given = parameters if isinstance(parameters, Mapping) else {}
        missing = sorted(set(names).difference(given))
        if missing:
            raise TotoException(ERROR_MISSING_PARAMS, f"Missing parameters: {', '.join(missing)}")

    return lambda fn: _prepared(fn, check, Policy.NONE)


def default_parameters(defaults: Mapping[str, Any]) -> Callable[[Invoke], Invoke]:
    """Fill in parameters that were not given; each call gets copies of its own."""

    def fill(handler: Any, parameters: Any) -> None:
        if isinstance(parameters, dict):
            for name in defaults.keys() - parameters.keys():
                parameters[name] = copy.deepcopy(defaults[name])

    return lambda fn: _prepared(fn, fill, Policy.NONE)


def take_session_id(parameters: Any) -> str:
    """Remove the session id from a method's parameters and return it; empty if there is none."""
    if not isinstance(parameters, dict):
        return ""
    value = parameters.pop("session_id", "")
    if isinstance(value, list) and len(value) == 1:  # a form field
        value = value[0]
    return value if isinstance(value, str) else ""


def _require_user(session: Any) -> None:
    if session is None or not session.user_id:
        raise TotoException(ERROR_NOT_AUTHORIZED, "Not authorized")


def _prepared(fn: Invoke, prepare: Callable[[Any, Any], None], policy: Policy) -> Invoke:
    @functools.wraps(fn)
    def invoke(handler: Any, parameters: Any) -> Any:
        prepare(handler, parameters)
        return fn(handler, parameters)

    # `wraps` has copied what the decorators below said.
    below = getattr(invoke, POLICY_ATTRIBUTE, Policy.NONE)
    setattr(invoke, POLICY_ATTRIBUTE, below | policy)
    return invoke
