"""Raise for users, in one of two ways."""

from typing import Any

from toto.exceptions import TotoException
from toto.invocation import authenticated


@authenticated
def invoke(handler: Any, parameters: Any) -> Any:
    if parameters.get("unexpected"):
        raise ValueError("a secret of the server")
    raise TotoException(4242, {"why": "asked"})
