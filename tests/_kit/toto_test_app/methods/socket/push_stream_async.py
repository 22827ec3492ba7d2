"""The same as ``push_stream``, on the loop."""

from collections.abc import AsyncIterator
from typing import Any


async def invoke(handler: Any, parameters: Any) -> AsyncIterator[Any]:
    for number in range(parameters["count"]):
        await handler.send_message(f"before {number}", parameters.get("message_id"))
        yield number
