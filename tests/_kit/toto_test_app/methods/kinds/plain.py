"""A plain function."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    return ["plain", parameters]
