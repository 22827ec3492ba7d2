"""How many clients wait."""

from typing import Any

from methods.polls import waiting


def invoke(handler: Any, parameters: Any) -> int:
    return len(waiting)
