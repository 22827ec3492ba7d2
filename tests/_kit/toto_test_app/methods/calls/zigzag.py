"""As ``down``, with every other level on the event loop."""

from typing import Any


async def invoke(handler: Any, parameters: Any) -> Any:
    depth = parameters["depth"]
    if not depth:
        return 0
    return 1 + await handler.call("calls.zig", {"depth": depth - 1})
