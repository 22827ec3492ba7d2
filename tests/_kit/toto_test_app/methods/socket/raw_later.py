"""Answer with raw bytes in two pieces, on the loop."""

from typing import Any


async def invoke(handler: Any, parameters: Any) -> None:
    await handler.respond_raw(b"one ", "text/plain", finish=False)
    await handler.respond_raw(b"two", "text/plain")
