"""Send a message, wait to be cancelled, and tell in a file at what time that was."""

import asyncio
import time
from typing import Any

from toto_test_app.library.files import announce


async def invoke(handler: Any, parameters: Any) -> None:
    await handler.send_message("waiting")
    try:
        await asyncio.sleep(20)
    except asyncio.CancelledError:
        announce(parameters["left"], time.time())
        raise
