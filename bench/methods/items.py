"""Streams `count` items of 64 KiB, as fast as the client takes them."""

from collections.abc import Iterator
from typing import Any

ITEM = "x" * 65536


def invoke(handler: Any, parameters: Any) -> Iterator[str]:
    for _ in range(int(parameters["count"])):
        yield ITEM
