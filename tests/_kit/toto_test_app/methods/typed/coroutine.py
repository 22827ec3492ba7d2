"""Take a dataclass of another module, under another name, in a coroutine."""

import asyncio
from typing import Any

from toto_test_app.library.sums import Sum as Terms


async def invoke(handler: Any, parameters: Terms) -> Any:
    await asyncio.sleep(0)
    return parameters.a + parameters.b
