"""Return something no format can carry."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    return {"outer": [1, {"inner": object()}]}
