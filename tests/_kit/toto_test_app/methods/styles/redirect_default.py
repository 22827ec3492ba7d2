"""Fail, and send the caller to one address whatever the error is."""

from collections.abc import Iterator
from typing import Any

from toto.exceptions import TotoException
from toto.invocation import error_redirect, jsonp


@error_redirect({404: "/lost"}, "/oops")
@jsonp
def invoke(handler: Any, parameters: Any) -> Iterator[Any]:
    if parameters.get("after"):
        yield 1
    raise TotoException(int(parameters.get("code", 7)), "refused")
