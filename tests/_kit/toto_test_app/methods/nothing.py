"""Return None and write nothing."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> None:
    return None
