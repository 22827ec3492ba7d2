"""Yield until closed, and tell in a file at what time that was."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

from toto_test_app.library.files import announce


def invoke(handler: Any, parameters: Any) -> Iterator[int]:
    try:
        for number in itertools.count():
            yield number
            time.sleep(0.002)
    finally:
        announce(parameters["left"], time.time())
