"""A long-poll as a coroutine."""

from typing import Any

from methods.polls import waiting


async def invoke(handler: Any, parameters: Any) -> Any:
    waiting.add(handler)
    try:
        page = await handler.next_events("bench.wake")
    finally:
        waiting.discard(handler)
    return page.events[0].args if page.events else None  # the worker stops
