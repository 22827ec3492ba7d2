"""Raise what was asked for in a coroutine."""

import asyncio
from typing import Any

from toto_test_app.methods.contract.raises import error_of


async def invoke(handler: Any, parameters: Any) -> None:
    await asyncio.sleep(0)
    raise error_of(parameters)
