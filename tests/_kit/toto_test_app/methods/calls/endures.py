"""Waits for ever, and writes a file when it is told to stop."""

import asyncio
from pathlib import Path
from typing import Any


async def invoke(handler: Any, parameters: Any) -> Any:
    leave_trace(parameters.get("begun"))
    try:
        await asyncio.sleep(3600)
    finally:
        leave_trace(parameters["path"])


def leave_trace(path: str | None) -> None:
    if path is not None:
        Path(path).write_text("here")
