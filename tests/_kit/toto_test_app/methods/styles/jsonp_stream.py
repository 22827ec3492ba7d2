"""Stream, although the caller may ask for a script."""

from collections.abc import Iterator
from typing import Any

from toto.invocation import jsonp


@jsonp
def invoke(handler: Any, parameters: Any) -> Iterator[Any]:
    yield parameters
