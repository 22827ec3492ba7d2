"""Returns while a thread and a task of its own still wait for other methods."""

import asyncio
import threading
from concurrent.futures import CancelledError
from typing import Any

told: list[str] = []
tasks: set[Any] = set()


async def invoke(handler: Any, parameters: Any) -> Any:
    if parameters.get("tell"):
        return sorted(told)

    def wait() -> None:
        try:
            handler.call_sync("sleep", {"seconds": 0.5})
        except BaseException as error:  # noqa: BLE001  # that it was given up
            told.append(f"thread {type(error).__name__}")

    async def wait_async() -> None:
        try:
            await handler.call("sleep", {"seconds": 0.5})
        except (asyncio.CancelledError, CancelledError):
            told.append("task CancelledError")

    threading.Thread(target=wait).start()
    tasks.add(asyncio.get_running_loop().create_task(wait_async()))
    await asyncio.sleep(0.1)
    return "returned"
