"""Streams without end, on the event loop."""

from collections.abc import AsyncIterator
from typing import Any

from methods.endings import note


async def invoke(handler: Any, parameters: Any) -> AsyncIterator[str]:
    try:
        while True:
            yield "x" * 1024
    finally:
        note(parameters["path"])
