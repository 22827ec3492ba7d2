"""Answer with the body itself: what it is, and its content type, are the caller's choice."""

from typing import Any

from toto.exceptions import TotoException
from toto.invocation import raw_response

BODIES: dict[str, Any] = {
    "bytes": b"\x00\xff",
    "text": "caf\u00e9",
    "nothing": None,
    "empty": b"",
    "view": memoryview(b"view"),
    "number": 7,
    "object": {"a": 1},
    "list": [b"a"],
}


@raw_response
def invoke(handler: Any, parameters: Any) -> Any:
    if "type" in parameters:
        handler.response_type = parameters["type"]
    if "status" in parameters:
        handler.set_status(int(parameters["status"]))
        handler.set_header("x-method", "raw")
    if "code" in parameters:
        raise TotoException(int(parameters["code"]), "refused")
    return BODIES[parameters["kind"]]
