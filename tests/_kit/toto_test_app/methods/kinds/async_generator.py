"""An async generator: its answer is a stream."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any


async def invoke(handler: Any, parameters: Any) -> AsyncIterator[Any]:
    yield "async_generator"
    await asyncio.sleep(0)
    yield parameters
