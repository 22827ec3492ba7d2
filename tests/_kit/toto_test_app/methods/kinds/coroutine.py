"""A coroutine function."""

import asyncio
from typing import Any


async def invoke(handler: Any, parameters: Any) -> Any:
    await asyncio.sleep(0)
    return ["coroutine", parameters]
