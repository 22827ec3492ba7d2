"""A generator: its answer is a stream."""

from collections.abc import Iterator
from typing import Any


def invoke(handler: Any, parameters: Any) -> Iterator[Any]:
    yield "generator"
    yield parameters
