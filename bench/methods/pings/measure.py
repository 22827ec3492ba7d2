"""Sends events one after the other, each when the last one has been answered by another worker.

The microseconds of each round trip are the result; those after one that was lost are missing.
"""

import asyncio
import time
from typing import Any

from toto.events import EventManager


async def invoke(handler: Any, parameters: Any) -> list[int]:
    manager = EventManager.instance()
    answers = handler.subscribe("bench.pong")
    microseconds: list[int] = []
    try:
        async with asyncio.timeout(parameters["timeout_seconds"]):
            for number in range(parameters["count"]):
                started = time.perf_counter_ns()
                manager.send("bench.ping", number)
                answer = await anext(answers)
                if answer.args != number:
                    raise ValueError(f"{answer.args} instead of {number}")
                microseconds.append((time.perf_counter_ns() - started) // 1000)
    except TimeoutError:
        pass
    return microseconds
