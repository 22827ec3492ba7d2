"""Raise: a TotoException when there is a code, else an error nobody expected."""

from typing import Any

from toto.exceptions import TotoException


def invoke(handler: Any, parameters: Any) -> Any:
    if "code" in parameters:
        raise TotoException(int(parameters["code"]), parameters["value"])
    raise ValueError(parameters.get("text", "a secret of the server"))
