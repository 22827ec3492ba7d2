"""Wait some seconds on the worker's event loop, where many calls can wait at once."""

import asyncio

from methods._parameters import number


async def invoke(handler, parameters):
    seconds = number(parameters, "seconds", low=0, high=30, kind=float)
    await asyncio.sleep(seconds)
    return {"waited": seconds}
