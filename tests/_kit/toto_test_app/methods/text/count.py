"""A method one package down."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    return len(parameters["text"].split())
