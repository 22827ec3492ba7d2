"""Answer by ``respond`` in a coroutine and return something else."""

import asyncio
from typing import Any


async def invoke(handler: Any, parameters: Any) -> Any:
    handler.respond(parameters["value"])
    await asyncio.sleep(0.02)
    return "returned"
