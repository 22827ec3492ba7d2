"""Streams without end, in a thread."""

from collections.abc import Iterator
from typing import Any

from methods.endings import note


def invoke(handler: Any, parameters: Any) -> Iterator[str]:
    try:
        while True:
            yield "x" * 1024
    finally:
        note(parameters["path"])
