"""Errors of the system's own making, on both sides: one type, one table of texts and statuses."""

import signal
from dataclasses import dataclass
from typing import Any

from toto import exceptions as codes

__all__ = [
    "CODE_MAX",
    "METHOD_NAME_SHOWN_MAX",
    "Failure",
    "error_fields",
    "is_retryable",
    "signal_name",
    "status_of",
]

CODE_MAX = 2**31 - 1
"""Error codes of methods go to the client as they are; larger ones count as 1000 elsewhere."""
METHOD_NAME_SHOWN_MAX = 64
"""Characters of an unknown method's name that an error repeats."""

_SYSTEM_STATUS = {
    codes.ERROR_MALFORMED_REQUEST: 400,
    codes.ERROR_PAYLOAD_TOO_LARGE: 413,
    codes.ERROR_UNSUPPORTED_MEDIA_TYPE: 415,
    codes.ERROR_OVERLOADED: 429,
    codes.ERROR_NO_WORKER: 503,
    codes.ERROR_WORKER_LOST: 502,
    codes.ERROR_DEADLINE: 504,
    codes.ERROR_UNAVAILABLE: 503,
}
_METHOD_STATUS = {
    codes.ERROR_SERVER: 500,
    codes.ERROR_INVALID_METHOD: 404,
    codes.ERROR_MISSING_METHOD: 400,
    codes.ERROR_MISSING_PARAMS: 400,
    codes.ERROR_NOT_AUTHORIZED: 401,
    codes.ERROR_USER_NOT_FOUND: 401,
    codes.ERROR_USER_ID_EXISTS: 409,
    codes.ERROR_INVALID_SESSION_ID: 401,
    codes.ERROR_INVALID_HMAC: 401,
    codes.ERROR_INVALID_USER_ID: 400,
}
_RETRYABLE = frozenset({codes.ERROR_OVERLOADED, codes.ERROR_NO_WORKER, codes.ERROR_UNAVAILABLE})


def status_of(code: int, *, http_statuses: bool) -> int:
    """Return the HTTP status for an error code.

    Args:
        code: the code of the error object; 0 stands for success.
        http_statuses: option ``error_status = "http"``; without it the errors that methods raise
            answer 200, because Toto's clients look for errors in a 200 body only.
    """
    system = _SYSTEM_STATUS.get(code)
    if system is not None:
        return system
    return _METHOD_STATUS.get(code, 200) if http_statuses else 200


def error_fields(code: int, value: Any, request_id: str) -> dict[str, Any]:
    """Return an error object; the codes of the system also tell the request and a hint."""
    error = {"code": code, "value": value}
    if code in _SYSTEM_STATUS:
        error["request_id"] = request_id
        error["retryable"] = is_retryable(code)
    return error


def is_retryable(code: int) -> bool:
    """Tell whether the same call may well succeed a little later."""
    return code in _RETRYABLE


def signal_name(number: int) -> str:
    """Return a signal's name, or its number for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that the gateway or the worker answers with, instead of the method."""

    code: int
    value: str
    retry_after_seconds: int = 0
    details: tuple[tuple[str, Any], ...] = ()

    def as_error(self, request_id: str) -> dict[str, Any]:
        """Return the error object; those of the system also carry the request and a hint."""
        error = error_fields(self.code, self.value, request_id)
        error.update(self.details)
        return error

    @classmethod
    def malformed(cls, reason: str) -> "Failure":
        """The body cannot be read as what it claims to be."""
        return cls(codes.ERROR_MALFORMED_REQUEST, f"Malformed request: {reason}")

    @classmethod
    def too_large(cls, limit_bytes: int) -> "Failure":
        """The body is longer than the option ``max_body_size``."""
        return cls(codes.ERROR_PAYLOAD_TOO_LARGE, f"The body is larger than {limit_bytes} bytes.")

    @classmethod
    def unsupported_media_type(cls) -> "Failure":
        """The content type is unknown or not enabled."""
        return cls(codes.ERROR_UNSUPPORTED_MEDIA_TYPE, "Unsupported content type.")

    @classmethod
    def missing_method(cls) -> "Failure":
        """No method was named."""
        return cls(codes.ERROR_MISSING_METHOD, "Missing method.")

    @classmethod
    def invalid_method(cls, method: str) -> "Failure":
        """No worker has ever announced such a method."""
        return cls(codes.ERROR_INVALID_METHOD, f"Cannot call '{method[:METHOD_NAME_SHOWN_MAX]}'.")

    @classmethod
    def not_authorized(cls) -> "Failure":
        """The method needs the session of a user."""
        return cls(codes.ERROR_NOT_AUTHORIZED, "Not authorized")

    @classmethod
    def invalid_hmac(cls, *, clock_offset_seconds: int = 0) -> "Failure":
        """The request's signature is wrong, or was made at another time than now."""
        details: tuple[tuple[str, Any], ...] = ()
        if clock_offset_seconds:
            details = (("clock_offset_seconds", clock_offset_seconds),)
        return cls(codes.ERROR_INVALID_HMAC, "Invalid HMAC", details=details)

    @classmethod
    def unavailable(cls) -> "Failure":
        """The store of the sessions cannot be reached."""
        return cls(
            codes.ERROR_UNAVAILABLE, "The session store is not available.", retry_after_seconds=1
        )

    @classmethod
    def overloaded(cls) -> "Failure":
        """The queue is full, or the wait would outlast the deadline."""
        return cls(codes.ERROR_OVERLOADED, "Too many calls are waiting.", retry_after_seconds=1)

    @classmethod
    def no_worker(cls) -> "Failure":
        """The method is not served at the moment."""
        return cls(
            codes.ERROR_NO_WORKER, "No worker serves this method now.", retry_after_seconds=1
        )

    @classmethod
    def draining(cls) -> "Failure":
        """The gateway is shutting down."""
        return cls(codes.ERROR_NO_WORKER, "The gateway is stopping.", retry_after_seconds=1)

    @classmethod
    def worker_lost(cls, *, exit_signal: int | None, exit_code: int | None) -> "Failure":
        """The worker went away while it had the call; whether it had begun is not known."""
        name = None if exit_signal is None else signal_name(exit_signal)
        details: list[tuple[str, Any]] = [("outcome", "unknown"), ("signal", name)]
        if exit_code is not None:
            details.append(("exit_code", exit_code))
        return cls(
            codes.ERROR_WORKER_LOST, "The worker was lost during the call.", details=tuple(details)
        )

    @classmethod
    def deadline(cls) -> "Failure":
        """The call's time ran out."""
        return cls(codes.ERROR_DEADLINE, "The call took too long.")

    @classmethod
    def response_too_large(cls, limit_bytes: int) -> "Failure":
        """The method answered with more than a gateway holds in memory."""
        return cls(
            codes.ERROR_SERVER, f"The result is larger than {limit_bytes} bytes: stream it instead."
        )

    @classmethod
    def stream_overrun(cls) -> "Failure":
        """The worker streams more than it was given credit for."""
        return cls(codes.ERROR_SERVER, "The stream broke its limits.")

    @classmethod
    def raw_in_batch(cls) -> "Failure":
        """A batch is one document; bytes of another content type have no place in it."""
        return cls(codes.ERROR_SERVER, "A raw response cannot be part of a batch.")

    @classmethod
    def raw_in_call(cls, method: str) -> "Failure":
        """A method that another one has called answers with bytes of a content type."""
        return cls(
            codes.ERROR_SERVER, f"{method} gives a raw response, which a method cannot be given."
        )

    @classmethod
    def nested_too_deep(cls, limit: int) -> "Failure":
        """Methods call methods that call methods."""
        return cls(codes.ERROR_SERVER, f"Methods call each other more than {limit} levels deep.")

    @classmethod
    def caller_ended(cls) -> "Failure":
        """The call whose method asks is over, so nobody would wait for the answer."""
        return cls(codes.ERROR_SERVER, "The call whose method made this one has ended.")

    @classmethod
    def server_error(cls, request_id: str) -> "Failure":
        """Something went wrong that is not the caller's fault and not the caller's business."""
        return cls(codes.ERROR_SERVER, f"Internal server error ({request_id})")
