"""Answer by ``respond`` and return something else."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    handler.respond(result=parameters["value"], allow_async=True, **parameters.get("more", {}))
    return "returned"
