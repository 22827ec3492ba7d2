"""Take a dataclass under decorators that read and fill the dictionary it is made of."""

from dataclasses import dataclass
from typing import Any

from toto.invocation import asynchronous, default_parameters, optionally_authenticated, requires


@dataclass
class Sum:
    a: int
    b: int


@requires("a")
@optionally_authenticated
@default_parameters({"b": 2})
@asynchronous
def invoke(handler: Any, parameters: Sum) -> Any:
    return parameters.a + parameters.b
