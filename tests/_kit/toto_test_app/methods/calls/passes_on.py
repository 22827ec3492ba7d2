"""Calls a method and lets its error through."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    return handler.call_sync(parameters["method"], parameters.get("parameters"))
