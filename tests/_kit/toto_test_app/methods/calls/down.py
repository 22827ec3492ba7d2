"""Calls itself until a depth is reached; tells how deep it got."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    depth = parameters["depth"]
    if not depth:
        return 0
    return 1 + handler.call_sync("calls.down", {"depth": depth - 1})
