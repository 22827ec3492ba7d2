"""Try to send a message, and answer with what comes of it."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    try:
        handler.send_message(parameters)
    except Exception as error:  # noqa: BLE001  # the test wants to know which
        return [type(error).__name__, str(error)]
    return "sent"
