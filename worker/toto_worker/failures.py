"""Exceptions of methods as error objects: the one place where a traceback turns into a text."""

import logging
from collections.abc import Mapping
from concurrent.futures import CancelledError
from typing import Any

from toto._core.failure import Failure, error_fields
from toto._core.formats.errors import MalformedBody, NotSerializable
from toto._core.logs import REQUEST_ID
from toto.exceptions import ERROR_SERVER, TotoException
from toto_worker.window import CallCancelled

__all__ = ["CalledMethodFailed", "error_object", "log_failure"]

_log = logging.getLogger("toto.method")


class CalledMethodFailed(TotoException):
    """The error of a method that another one has called, with all that a client would be told.

    Args:
        error: the error object.
    """

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error["code"], error["value"])
        told = ("code", "value", "request_id", "retryable")
        self.details = {name: error[name] for name in error if name not in told}


def error_object(error: BaseException, *, request_id: str, debug: bool) -> dict[str, Any]:
    """Return what the client is told of an exception.

    Args:
        error: what the method raised, or handed to ``handler.respond``.
        request_id: stands in the text, so that the operator finds the traceback.
        debug: tell the client ``str(error)`` of unexpected exceptions; never in production.
    """
    if isinstance(error, TotoException):
        # A subclass may have forgotten to call __init__, or use a code of another type.
        code = getattr(error, "code", ERROR_SERVER)
        is_integer = isinstance(code, int) and not isinstance(code, bool)
        value = getattr(error, "value", None)
        fields = error_fields(code if is_integer else ERROR_SERVER, value, request_id)
        if isinstance(error, CalledMethodFailed):
            fields.update(error.details)
        return fields
    if isinstance(error, MalformedBody):
        return Failure.malformed(str(error)).as_error(request_id)
    if isinstance(error, NotSerializable):
        return {"code": ERROR_SERVER, "value": f"The result cannot be encoded: {error}"}
    if debug:
        return {"code": ERROR_SERVER, "value": _text_of(error)}
    return Failure.server_error(request_id).as_error(request_id)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # the user's __str__
        return f"{type(error).__name__} (which has no text)"


def log_failure(error: BaseException, *, method: str, request_id: str) -> None:
    """Log what a method raised: one line for errors it meant, the traceback for all others."""
    # Set here too, because a method may answer from a thread of its own.
    token = REQUEST_ID.set(request_id)
    try:
        if isinstance(error, CallCancelled | CancelledError):
            _log.debug("%s cancelled", method)
        elif isinstance(error, TotoException | MalformedBody):
            _log.info("%s raised %s", method, _text_of(error))
        elif isinstance(error, NotSerializable):
            _log.error("%s gave a result that is %s", method, error)
        else:
            _log.error("%s failed", method, exc_info=error)
    finally:
        REQUEST_ID.reset(token)
