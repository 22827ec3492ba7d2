"""Tell whether there is no session for who has not asked for one."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    return handler.session is None
