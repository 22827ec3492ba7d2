"""A method with a longer time limit than the gateway's."""

import asyncio
import time
from typing import Any

from toto.invocation import timeout


@timeout(60)
async def invoke(handler: Any, parameters: Any) -> Any:
    left = handler.deadline - time.monotonic()
    await asyncio.sleep(parameters.get("seconds", 0))
    return left
