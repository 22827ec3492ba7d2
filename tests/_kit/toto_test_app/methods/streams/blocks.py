"""Yield large items and write down how far it got; a reader decides the pace."""

from collections.abc import Iterator
from typing import Any

from toto_test_app.library.files import announce

BLOCK = "x" * 16_384


def invoke(handler: Any, parameters: Any) -> Iterator[str]:
    for number in range(int(parameters["count"])):
        announce(parameters["progress"], number)
        yield BLOCK
