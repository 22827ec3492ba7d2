"""Exceptions of methods as error objects: the one place where a traceback turns into a text."""

import logging
from typing import Any

from toto._core.failure import Failure
from toto._core.formats.errors import MalformedBody, NotSerializable
from toto._core.logs import REQUEST_ID
from toto.exceptions import ERROR_SERVER, TotoException

__all__ = ["error_object", "log_failure"]

_log = logging.getLogger("toto.method")


def error_object(error: BaseException, *, request_id: str, debug: bool) -> dict[str, Any]:
    """Return what the client is told of an exception.

    Args:
        error: what the method raised, or handed to ``handler.respond``.
        request_id: stands in the text, so that the operator finds the traceback.
        debug: tell the client ``str(error)`` of unexpected exceptions; never in production.
    """
    if isinstance(error, TotoException):
        return {"code": error.code, "value": error.value}
    if isinstance(error, MalformedBody):
        return Failure.malformed(str(error)).as_error(request_id)
    if isinstance(error, NotSerializable):
        return {"code": ERROR_SERVER, "value": f"The result cannot be encoded: {error}"}
    if debug:
        return {"code": ERROR_SERVER, "value": str(error)}
    return Failure.server_error(request_id).as_error(request_id)


def log_failure(error: BaseException, *, method: str, request_id: str) -> None:
    """Log what a method raised: one line for errors it meant, the traceback for all others."""
    # Set here too, because a method may answer from a thread of its own.
    token = REQUEST_ID.set(request_id)
    try:
        if isinstance(error, TotoException | MalformedBody):
            _log.info("%s raised %s", method, error)
        elif isinstance(error, NotSerializable):
            _log.error("%s gave a result that is %s", method, error)
        else:
            _log.error("%s failed", method, exc_info=error)
    finally:
        REQUEST_ID.reset(token)
