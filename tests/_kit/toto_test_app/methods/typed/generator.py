"""Take a dataclass in a generator."""

from collections.abc import Iterator
from typing import Any

from toto_test_app.library import sums


def invoke(handler: Any, parameters: "sums.Sum") -> Iterator[Any]:
    yield parameters.a
    yield parameters.b
