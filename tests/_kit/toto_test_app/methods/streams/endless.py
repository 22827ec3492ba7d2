"""Yield for ever, and say so when the generator is closed."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

from toto_test_app.library.files import append


def invoke(handler: Any, parameters: Any) -> Iterator[int]:
    try:
        for number in itertools.count():
            yield number
            time.sleep(0.005)
    finally:
        append(parameters["closed"], "closed")
