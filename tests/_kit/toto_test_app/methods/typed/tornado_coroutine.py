"""Take a dataclass in a coroutine as Toto's users wrote it."""

from collections.abc import Generator
from typing import Any

import tornado.gen

from toto_test_app.library.sums import Sum


@tornado.gen.coroutine
def invoke(handler: Any, parameters: Sum) -> Generator[Any, Any, Any]:
    yield tornado.gen.sleep(0.001)
    return parameters.a + parameters.b
