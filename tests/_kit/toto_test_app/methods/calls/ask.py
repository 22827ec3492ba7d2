"""Calls the method it is told to, in a thread, and gives its result or the error's code."""

from typing import Any

from toto.exceptions import TotoException


def invoke(handler: Any, parameters: Any) -> Any:
    try:
        return {"got": handler.call_sync(parameters["method"], parameters.get("parameters"))}
    except TotoException as error:
        return {"code": error.code, "value": error.value}
