"""A method with a short time limit of its own."""

import asyncio
import time
from typing import Any

from toto.invocation import timeout


@timeout(0.5)
async def invoke(handler: Any, parameters: Any) -> Any:
    left = handler.deadline - time.monotonic()
    await asyncio.sleep(parameters.get("seconds", 0))
    return left
