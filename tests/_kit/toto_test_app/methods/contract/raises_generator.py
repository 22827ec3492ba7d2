"""Yield so often, then raise what was asked for."""

from collections.abc import Iterator
from typing import Any

from toto_test_app.methods.contract.raises import error_of


def invoke(handler: Any, parameters: Any) -> Iterator[int]:
    yield from range(parameters["count"])
    raise error_of(parameters)
