"""Answers as a script that calls a function of the page (contract 7). No I/O."""

import re
from typing import Any

from toto.exceptions import ERROR_MISSING_PARAMS, ERROR_NOT_AUTHORIZED, TotoException

__all__ = ["JSONP_CONTENT_TYPE", "jsonp_script", "take_callback"]

JSONP_CONTENT_TYPE = "text/javascript; charset=utf-8"
"""The registered type (RFC 9239); ``application/javascript`` is obsolete."""
CALLBACK_LENGTH_MAX = 64
_CALLBACK = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*(?:\.[A-Za-z_$][A-Za-z0-9_$]*)*")


def take_callback(parameters: Any, name: str, *, by_cookie: bool) -> str:
    """Remove the callback's name from the parameters and return it; empty if there is none.

    Args:
        parameters: those of the call.
        name: the parameter; empty for a method without JSONP.
        by_cookie: the caller is known by a cookie, so any page could read the answer.

    Raises:
        TotoException: the name is not identifiers joined by dots (1003), or ``by_cookie`` (1004).
    """
    if not name or not isinstance(parameters, dict) or name not in parameters:
        return ""
    callback = parameters.pop(name)
    if isinstance(callback, list) and len(callback) == 1:  # a form field
        callback = callback[0]
    is_name = isinstance(callback, str) and len(callback) <= CALLBACK_LENGTH_MAX
    if not is_name or not _CALLBACK.fullmatch(callback):
        text = f"Invalid parameters: {name}: not the name of a function"
        raise TotoException(ERROR_MISSING_PARAMS, text)
    if by_cookie:
        raise TotoException(ERROR_NOT_AUTHORIZED, "Not authorized")
    found: str = callback
    return found


def jsonp_script(callback: str, document: bytes) -> bytes:
    """Return the script that calls the function with a JSON document.

    The comment in front keeps the first bytes of the file out of the caller's hands (they would
    make a Flash file of it), and two line ends that JSON allows within texts are escaped, which
    older JavaScript does not.
    """
    safe = document.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return b"/**/" + callback.encode() + b"(" + safe + b");"
