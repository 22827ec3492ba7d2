"""Calls the methods it is told to, side by side, in a coroutine."""

import asyncio
from typing import Any

from toto.exceptions import TotoException


async def invoke(handler: Any, parameters: Any) -> Any:
    async def ask(each: Any) -> Any:
        try:
            return {"got": await handler.call(each["method"], each.get("parameters"))}
        except TotoException as error:
            return {"code": error.code, "value": error.value}

    return await asyncio.gather(*[ask(each) for each in parameters["asks"]])
