"""Fail as the caller says; some errors send it elsewhere."""

from typing import Any

from toto.exceptions import TotoException
from toto.invocation import error_redirect


class StatusError(Exception):
    """An error as other frameworks have them."""

    def __init__(self, status_code: Any) -> None:
        super().__init__(status_code)
        self.status_code = status_code


@error_redirect({404: "/lost?a=1&b=2", "1004": "https://login.example/", "410": "/gone"})
def invoke(handler: Any, parameters: Any) -> Any:
    if "code" in parameters:
        raise TotoException(int(parameters["code"]), "refused")
    if "code_text" in parameters:
        raise TotoException(parameters["code_text"], "refused")
    if "status_code" in parameters:
        raise StatusError(parameters["status_code"])
    if "to" in parameters:
        handler.redirect(parameters["to"])
    return parameters
