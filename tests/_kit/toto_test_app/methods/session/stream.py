"""Stream to users: who they are, then numbers; with ``fail`` raise after them."""

from collections.abc import Iterator
from typing import Any

from toto.exceptions import TotoException
from toto.invocation import authenticated


@authenticated
def invoke(handler: Any, parameters: Any) -> Iterator[Any]:
    yield handler.session.user_id
    yield from range(int(parameters.get("count", 2)))
    if parameters.get("fail"):
        raise TotoException(4242, "stopped")
