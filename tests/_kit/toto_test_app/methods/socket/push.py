"""Send messages beside the answer, in a plain function."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    for message in parameters["messages"]:
        handler.send_message(message, parameters.get("message_id"))
    return len(parameters["messages"])
