"""A module whose name starts with an underscore is no method."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    return "this must not be callable"
