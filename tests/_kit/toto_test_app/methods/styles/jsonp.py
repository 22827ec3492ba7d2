"""Answer pages of other origins; the callback stands in the parameter ``jsonp``."""

from typing import Any

from toto.exceptions import TotoException
from toto.invocation import jsonp


@jsonp
def invoke(handler: Any, parameters: Any) -> Any:
    if "code" in parameters:
        code = parameters["code"]
        raise TotoException(int(code[0] if isinstance(code, list) else code), "refused")
    if "text" in parameters:
        raise ValueError(parameters["text"])
    return parameters
