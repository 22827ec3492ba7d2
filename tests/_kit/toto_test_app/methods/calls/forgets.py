"""Begins a call, stops waiting for it after a moment, and answers."""

import asyncio
from typing import Any


async def invoke(handler: Any, parameters: Any) -> Any:
    try:
        async with asyncio.timeout(0.2):
            await handler.call("calls.endures", {"path": parameters["path"]})
    except TimeoutError:
        return "forgotten"
    return "not forgotten"
