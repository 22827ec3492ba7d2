"""Answer with the body itself, in a coroutine."""

from typing import Any

from toto.invocation import raw_response


@raw_response
async def invoke(handler: Any, parameters: Any) -> Any:
    handler.response_type = "text/css"
    return b"p { color: red }"
