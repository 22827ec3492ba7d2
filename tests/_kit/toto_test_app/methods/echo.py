"""Answer the parameters."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    return parameters
