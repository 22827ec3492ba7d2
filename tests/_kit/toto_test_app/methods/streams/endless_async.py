"""The same as ``endless``, on the loop."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

from toto_test_app.library.files import append


async def invoke(handler: Any, parameters: Any) -> AsyncIterator[int]:
    try:
        for number in itertools.count():
            yield number
            await asyncio.sleep(0.005)
    finally:
        append(parameters["closed"], "closed")
