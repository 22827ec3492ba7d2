"""The levels of ``zigzag`` that run in threads."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    depth = parameters["depth"]
    if not depth:
        return 0
    return 1 + handler.call_sync("calls.zigzag", {"depth": depth - 1})
