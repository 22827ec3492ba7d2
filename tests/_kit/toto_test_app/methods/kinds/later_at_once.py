"""May answer later, but returns a value, which answers at once."""

from typing import Any

import toto.invocation


@toto.invocation.asynchronous
def invoke(handler: Any, parameters: Any) -> Any:
    return ["later_at_once", parameters]
