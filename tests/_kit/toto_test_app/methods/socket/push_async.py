"""Send messages beside the answer, in a coroutine."""

from typing import Any


async def invoke(handler: Any, parameters: Any) -> Any:
    for message in parameters["messages"]:
        await handler.send_message(message, parameters.get("message_id"))
    return len(parameters["messages"])
