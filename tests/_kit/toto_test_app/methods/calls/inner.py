"""A method that only other methods may call."""

from typing import Any

from toto.invocation import internal


@internal
def invoke(handler: Any, parameters: Any) -> Any:
    return {"inner": parameters}
