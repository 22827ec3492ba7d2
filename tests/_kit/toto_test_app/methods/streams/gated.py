"""Yield one item, and a second one only when a test opens the gate."""

from collections.abc import Iterator
from typing import Any

from toto_test_app.library.files import await_file


def invoke(handler: Any, parameters: Any) -> Iterator[str]:
    yield "first"
    await_file(parameters["release"])
    yield "second"
