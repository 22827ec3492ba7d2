"""Waits without end, and says when it has begun to."""

import asyncio
from typing import Any

from methods.endings import note


async def invoke(handler: Any, parameters: Any) -> None:
    try:
        note(parameters["started"])
        await asyncio.Event().wait()
    finally:
        note(parameters["path"])
