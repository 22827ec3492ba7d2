"""The same as ``numbers``, on the loop."""

from collections.abc import AsyncIterator
from typing import Any

from toto.exceptions import TotoException


async def invoke(handler: Any, parameters: Any) -> AsyncIterator[int]:
    for number in range(int(parameters["count"])):
        if number == int(parameters.get("fail_at", -1)):
            if "code" in parameters:
                raise TotoException(int(parameters["code"]), "stopped")
            raise ValueError("a secret of the server")
        yield number
