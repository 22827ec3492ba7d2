"""Decorators for ``invoke`` functions. They may stand in any order; they keep the docstring, and
add a sentence to it where they change what a caller has to know.

What a decorator says of sessions also reaches the gateway, which refuses a call it can decide on
without troubling a worker; the decorator checks again.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, overload

from toto._core.answer_headers import header_value
from toto._core.parameter_type import is_record, refuse_missing
from toto._core.traits import ErrorRedirects, add_traits, own_traits
from toto._core.typed_parameters import typed
from toto._wire.constants import Policy
from toto.exceptions import (
    ERROR_DEADLINE,
    ERROR_INVALID_HMAC,
    ERROR_INVALID_METHOD,
    ERROR_INVALID_RESPONSE_HMAC,
    ERROR_INVALID_SESSION_ID,
    ERROR_INVALID_USER_ID,
    ERROR_MALFORMED_REQUEST,
    ERROR_MISSING_METHOD,
    ERROR_MISSING_PARAMS,
    ERROR_NO_WORKER,
    ERROR_NOT_AUTHORIZED,
    ERROR_OVERLOADED,
    ERROR_PAYLOAD_TOO_LARGE,
    ERROR_SERVER,
    ERROR_UNAVAILABLE,
    ERROR_UNSUPPORTED_MEDIA_TYPE,
    ERROR_USER_ID_EXISTS,
    ERROR_USER_NOT_FOUND,
    ERROR_WORKER_LOST,
    TotoException,
)

__all__ = [
    "ERROR_DEADLINE",
    "ERROR_INVALID_HMAC",
    "ERROR_INVALID_METHOD",
    "ERROR_INVALID_RESPONSE_HMAC",
    "ERROR_INVALID_SESSION_ID",
    "ERROR_INVALID_USER_ID",
    "ERROR_MALFORMED_REQUEST",
    "ERROR_MISSING_METHOD",
    "ERROR_MISSING_PARAMS",
    "ERROR_NOT_AUTHORIZED",
    "ERROR_NO_WORKER",
    "ERROR_OVERLOADED",
    "ERROR_PAYLOAD_TOO_LARGE",
    "ERROR_SERVER",
    "ERROR_UNAVAILABLE",
    "ERROR_UNSUPPORTED_MEDIA_TYPE",
    "ERROR_USER_ID_EXISTS",
    "ERROR_USER_NOT_FOUND",
    "ERROR_WORKER_LOST",
    "TotoException",
    "anonymous_session",
    "asynchronous",
    "authenticated",
    "authenticated_with_parameter",
    "default_parameters",
    "error_redirect",
    "idempotent",
    "internal",
    "jsonp",
    "optionally_authenticated",
    "raw_response",
    "requires",
    "resumable",
    "timeout",
]
# The errors too, as in Toto, whose methods take both by importing all names from here.

Invoke = Callable[..., Any]
_F = TypeVar("_F", bound=Callable[..., object])

JSONP_PARAMETER = "jsonp"
TIMEOUT_SECONDS_MAX = 7 * 86_400
"""A week; who needs longer wants a stream or an event."""


def asynchronous(fn: _F) -> _F:
    """Let a method return before it has answered.

    The function runs on the worker's event loop, so it must not block. If it returns None the call
    stays open until ``handler.respond(...)`` is called, from any thread; any other value answers
    the call at once.
    """
    return add_traits(fn, is_asynchronous=True)


def raw_response(fn: _F) -> _F:
    """Make what the method returns the body of the answer, as it is: bytes or text.

    ``handler.response_type`` is its content type, ``application/octet-stream`` unless the method
    sets another. A generator's items are sent as they come. Errors are ordinary error documents.
    """
    return add_traits(fn, is_raw=True)


@overload
def jsonp(callback_name: _F) -> _F: ...


@overload
def jsonp(callback_name: str = JSONP_PARAMETER) -> Callable[[_F], _F]: ...


def jsonp(callback_name: Any = JSONP_PARAMETER) -> Any:
    """Let web pages of other origins call the method by a script element.

    A request whose parameter ``jsonp`` (or the one named here: ``@jsonp("callback")``) names a
    JavaScript function is answered by a script that calls it with the result, or with an object
    that has ``error``. The method does not see that parameter; a request without it is answered as
    ever. The name must be identifiers joined by dots, of 64 characters at most (1003), and a
    caller who is known by a cookie is refused (1004): any page could read the answer.
    """
    if not isinstance(callback_name, str):
        return jsonp(JSONP_PARAMETER)(callback_name)

    def decorate(fn: Any) -> Any:
        _add_sentence(fn, f"Supports JSONP with the callback parameter ``{callback_name}``.")
        return add_traits(fn, jsonp_parameter=callback_name)

    return decorate


def error_redirect(redirect_map: Mapping[Any, str], default: str = "") -> Callable[[_F], _F]:
    """Send the client to another address when the method fails, instead of an error document.

    Args:
        redirect_map: addresses by error code, as a text or a number. The attribute ``code`` of the
            exception counts, then ``status_code``.
        default: where all other errors go; without it they are answered as ever.

    Raises:
        ValueError: an address that no header can carry.
    """
    urls = {str(code): header_value(url) for code, url in redirect_map.items()}
    redirects = ErrorRedirects(MappingProxyType(urls), header_value(default) if default else "")
    return lambda fn: add_traits(fn, redirects=redirects)


def timeout(seconds: float) -> Callable[[_F], _F]:
    """Give the method another time limit than the gateway's ``request_timeout``.

    When it is over the caller gets error 1106, and the method is told as at every deadline.

    Args:
        seconds: more than 0 and up to a week; longer or shorter than the option.

    Raises:
        ValueError: ``seconds`` is out of range.
    """
    if not 0 < seconds <= TIMEOUT_SECONDS_MAX:
        raise ValueError(f"timeout takes more than 0 and up to {TIMEOUT_SECONDS_MAX} seconds")
    return lambda fn: add_traits(fn, timeout_seconds=float(seconds))


def idempotent(fn: _F) -> _F:
    """Say that the method may be run twice for one call.

    If its worker is lost before anything of the answer has been sent, the gateway runs the call
    once more on another worker, within the same time limit, instead of answering with error 1105.
    """
    return add_traits(fn, policy=Policy.IDEMPOTENT)


def internal(fn: _F) -> _F:
    """Keep a method for other methods: clients are told that there is no such method (1001)."""
    return add_traits(fn, policy=Policy.INTERNAL)


def resumable(fn: _F) -> _F:
    """Say that a stream of the method can go on where a client has lost it.

    A client of server-sent events that comes back names the last item that it has seen; the method
    finds that in ``handler.last_event_id``. Without this decorator it is not called again.
    """
    return add_traits(fn, policy=Policy.RESUMABLE)


def anonymous_session(fn: Invoke) -> Invoke:
    """Give the method a session: the caller's, or a new anonymous one if it has none."""

    def prepare(handler: Any, parameters: Any) -> None:
        if handler.retrieve_session() is None:
            handler.create_session()

    doc = "Uses an anonymous session unless the caller has one."
    return _with_session(fn, prepare, Policy.SESSION | Policy.CREATES, doc)


def optionally_authenticated(fn: Invoke) -> Invoke:
    """Give the method the caller's session, or None in ``handler.session``."""

    def prepare(handler: Any, parameters: Any) -> None:
        handler.retrieve_session()

    return _with_session(fn, prepare, Policy.SESSION)


def authenticated(fn: Invoke) -> Invoke:
    """Let only users call the method: without a user's session error 1004 is raised."""

    def prepare(handler: Any, parameters: Any) -> None:
        _require_user(handler.retrieve_session())

    return _with_session(fn, prepare, Policy.SESSION | Policy.USER, "Requires authentication.")


def authenticated_with_parameter(fn: Invoke) -> Invoke:
    """As ``authenticated``, with the session id in ``parameters["session_id"]``.

    The method does not see that parameter. Without it the header or cookie counts.
    """

    def prepare(handler: Any, parameters: Any) -> None:
        session_id = take_session_id(parameters)
        _require_user(handler.retrieve_session(session_id or None))

    doc = "Requires authentication, by the parameter ``session_id`` or as ever."
    return _prepared(fn, prepare, Policy.SESSION | Policy.USER | Policy.PARAMETER, doc)


def requires(*names: str) -> Callable[[Invoke], Invoke]:
    """Raise error 1003, which lists them, when parameters are missing."""

    def check(handler: Any, parameters: Any) -> None:
        given = parameters if isinstance(parameters, Mapping) else {}
        missing = set(names).difference(given)
        # a record comes from another method, which calls this one with what it was given
        if missing and not is_record(parameters):
            refuse_missing(missing)

    doc = f"Required parameters: {', '.join(f'``{name}``' for name in names)}."
    return lambda fn: _prepared(fn, check, Policy.NONE, doc)


def default_parameters(defaults: Mapping[str, Any]) -> Callable[[Invoke], Invoke]:
    """Fill in parameters that were not given; each call gets copies of its own."""

    def fill(handler: Any, parameters: Any) -> None:
        if isinstance(parameters, dict):
            for name in defaults.keys() - parameters.keys():
                parameters[name] = copy.deepcopy(defaults[name])

    shown = ", ".join(f"``{name}``: {value!r}" for name, value in defaults.items())
    doc = f"Default parameters: {shown}."
    return lambda fn: _prepared(fn, fill, Policy.NONE, doc)


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


def _with_session(
    fn: Invoke, prepare: Callable[[Any, Any], None], policy: Policy, doc: str = ""
) -> Invoke:
    # A decorator below that lets only users in is stricter, and may know of a session id that
    # stands in the parameters: that one's answer must not depend on the order.
    is_left_to_it = bool(own_traits(fn).policy & Policy.USER)
    return _prepared(fn, _nothing if is_left_to_it else prepare, policy, doc)


def _nothing(handler: Any, parameters: Any) -> None:
    """Prepare nothing."""


def _prepared(
    fn: Invoke, prepare: Callable[[Any, Any], None], policy: Policy, doc: str = ""
) -> Invoke:
    # Parameters turn into what the method wants below all decorators, which see what was sent.
    below = typed(fn)

    @functools.wraps(below)
    def invoke(handler: Any, parameters: Any) -> Any:
        prepare(handler, parameters)
        return below(handler, parameters)

    _add_sentence(invoke, doc)
    # `wraps` has copied what the decorators below said.
    return add_traits(invoke, policy=policy)


def _add_sentence(fn: Any, sentence: str) -> None:
    if sentence:
        doc = fn.__doc__
        fn.__doc__ = f"{inspect.cleandoc(doc)}\n\n{sentence}" if doc else sentence
