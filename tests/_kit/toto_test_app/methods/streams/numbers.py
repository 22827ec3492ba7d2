"""Yield 0 .. count-1; with ``fail_at``, raise before that item instead."""

from collections.abc import Iterator
from typing import Any

from toto.exceptions import TotoException


def invoke(handler: Any, parameters: Any) -> Iterator[int]:
    for number in range(int(parameters["count"])):
        if number == int(parameters.get("fail_at", -1)):
            if "code" in parameters:
                raise TotoException(int(parameters["code"]), "stopped")
            raise ValueError("a secret of the server")
        yield number
