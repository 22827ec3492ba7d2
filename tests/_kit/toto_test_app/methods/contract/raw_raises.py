"""A raw response that turns out to be an error."""

from typing import Any

from toto.exceptions import TotoException
from toto.invocation import raw_response


@raw_response
def invoke(handler: Any, parameters: Any) -> bytes:
    raise TotoException(4242, "no picture")
