"""Answer with a text of a size."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> str:
    size: int = parameters["size"]
    return "x" * size
