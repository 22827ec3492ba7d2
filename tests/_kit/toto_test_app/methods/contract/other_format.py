"""Answer in the format that was asked for."""

from typing import Any

from toto.exceptions import TotoException


def invoke(handler: Any, parameters: Any) -> Any:
    handler.response_type = parameters["type"]
    if "code" in parameters:
        raise TotoException(parameters["code"], {"in": "another format"})
    return {"value": 2**40, "text": "é"}
