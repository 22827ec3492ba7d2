"""Take a dataclass in an async generator."""

from collections.abc import AsyncIterator
from typing import Any

from toto_test_app.library.sums import Sum


async def invoke(handler: Any, parameters: Sum) -> AsyncIterator[Any]:
    yield parameters.a
    yield parameters.b
