"""Errors a method may raise and a client may see: Toto's codes, and the system's own.

Codes 1000-1010 are Toto's. Codes 11xx tell of the system (overload, a lost worker, a passed
deadline) and were added by this project; their HTTP status is never 200.
"""

from typing import Any

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
]

ERROR_SERVER = 1000
ERROR_INVALID_METHOD = 1001
ERROR_MISSING_METHOD = 1002
ERROR_MISSING_PARAMS = 1003
ERROR_NOT_AUTHORIZED = 1004
ERROR_USER_NOT_FOUND = 1005
ERROR_USER_ID_EXISTS = 1006
ERROR_INVALID_SESSION_ID = 1007
ERROR_INVALID_HMAC = 1008
ERROR_INVALID_RESPONSE_HMAC = 1009
ERROR_INVALID_USER_ID = 1010

ERROR_MALFORMED_REQUEST = 1100
ERROR_PAYLOAD_TOO_LARGE = 1101
ERROR_UNSUPPORTED_MEDIA_TYPE = 1102
ERROR_OVERLOADED = 1103
ERROR_NO_WORKER = 1104
ERROR_WORKER_LOST = 1105
ERROR_DEADLINE = 1106
ERROR_UNAVAILABLE = 1107


class TotoException(Exception):
    """An error with a code and a value, both of which reach the client.

    Args:
        code: an integer; the constants of this module, or any number of the application's own.
        value: anything the response format can carry; usually a sentence.
    """

    def __init__(self, code: int, value: Any) -> None:
        super().__init__(code, value)
        self.code = code
        self.value = value

    def __str__(self) -> str:
        return f"{getattr(self, 'value', None)} ({getattr(self, 'code', ERROR_SERVER)})"
