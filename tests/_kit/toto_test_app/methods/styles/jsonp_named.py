"""Answer pages of other origins; the callback stands in a parameter of another name."""

from typing import Any

from toto.invocation import jsonp, requires


@requires("a")
@jsonp("callback")
async def invoke(handler: Any, parameters: Any) -> Any:
    return parameters
