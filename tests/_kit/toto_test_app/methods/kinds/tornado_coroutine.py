"""A coroutine as Toto's users wrote it."""

from collections.abc import Generator
from typing import Any

import tornado.gen


@tornado.gen.coroutine
def invoke(handler: Any, parameters: Any) -> Generator[Any, Any, Any]:
    yield tornado.gen.sleep(0.001)
    return ["tornado_coroutine", parameters]
