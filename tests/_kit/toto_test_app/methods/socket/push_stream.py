"""Send a message before each item of a stream."""

from collections.abc import Iterator
from typing import Any


def invoke(handler: Any, parameters: Any) -> Iterator[Any]:
    for number in range(parameters["count"]):
        handler.send_message(f"before {number}", parameters.get("message_id"))
        yield number
