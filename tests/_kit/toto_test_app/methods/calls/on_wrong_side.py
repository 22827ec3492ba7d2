"""Calls in the way that does not fit where it runs."""

from typing import Any


async def invoke(handler: Any, parameters: Any) -> Any:
    try:
        handler.call_sync("echo")
    except RuntimeError as error:
        return str(error)
    return "nothing was raised"
