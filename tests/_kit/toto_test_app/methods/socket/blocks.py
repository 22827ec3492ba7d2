"""Yield items of a size, write down how many, and say when the generator is closed."""

from collections.abc import Iterator
from typing import Any

from toto_test_app.library.files import announce, append


def invoke(handler: Any, parameters: Any) -> Iterator[Any]:
    block: Any = "x" * parameters["size"]
    if parameters.get("binary"):
        block = block.encode()
    try:
        for number in range(parameters["count"]):
            if "progress" in parameters:
                announce(parameters["progress"], number)
            yield block
    finally:
        if "closed" in parameters:
            append(parameters["closed"], "closed")
