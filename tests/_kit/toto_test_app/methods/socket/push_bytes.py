"""Send bytes, which only msgpack can carry."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    handler.send_message(b"\x00\xff")
    return "sent"
