"""Set a status and headers, which only answers over HTTP have."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    handler.set_status(418)
    handler.set_header("X-Dressed", "yes")
    handler.add_header("X-Dressed", "twice")
    return parameters
