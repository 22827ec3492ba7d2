"""Tell what kind of handler a batch member gets."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    return {"class": type(handler).__name__, "request_key": handler.request_key}
