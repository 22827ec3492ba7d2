"""Choose status and headers; the result or an error follows."""

from typing import Any

from toto.exceptions import TotoException


def invoke(handler: Any, parameters: Any) -> Any:
    handler.set_status(parameters.get("status", 201))
    handler.set_header("X-Once", "first")
    handler.set_header("x-once", "second")
    handler.add_header("X-Twice", "one")
    handler.add_header("X-Twice", "two")
    if "code" in parameters:
        raise TotoException(parameters["code"], "decorated")
    return "decorated"
