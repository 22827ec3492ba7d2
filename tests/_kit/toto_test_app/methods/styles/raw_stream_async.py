"""Answer with pieces of a body, in an async generator."""

from collections.abc import AsyncIterator
from typing import Any

from toto.invocation import raw_response


@raw_response
async def invoke(handler: Any, parameters: Any) -> AsyncIterator[Any]:
    handler.response_type = "text/csv"
    yield b"a,b\n"
    yield "1,2\n"
