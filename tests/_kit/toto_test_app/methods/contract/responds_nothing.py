"""Answer by ``respond`` without a result."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> None:
    handler.respond()
