"""A method that lives outside the root; ``methods/aliases`` gives it a name there."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    return f"hello {parameters['name']}"
