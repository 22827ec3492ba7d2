"""Stream values by their names."""

from collections.abc import Iterator
from typing import Any

from toto_test_app.methods.contract.values import VALUES


def invoke(handler: Any, parameters: Any) -> Iterator[Any]:
    for name in parameters["names"]:
        yield VALUES[name]
