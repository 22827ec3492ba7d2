"""The same as ``leave_generator``, on the loop."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

from toto_test_app.library.files import announce


async def invoke(handler: Any, parameters: Any) -> AsyncIterator[int]:
    try:
        for number in itertools.count():
            yield number
            await asyncio.sleep(0.002)
    finally:
        announce(parameters["left"], time.time())
