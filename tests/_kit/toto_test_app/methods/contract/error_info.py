"""Tell what clients would be told of an error."""

from typing import Any

from toto_test_app.methods.contract.raises import error_of


def invoke(handler: Any, parameters: Any) -> Any:
    return handler.error_info(error_of(parameters))
