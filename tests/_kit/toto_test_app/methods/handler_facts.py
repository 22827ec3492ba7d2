"""Tell what the handler knows; the file is for a test that gets no body."""

from typing import Any

from toto_test_app.library.files import announce


def invoke(handler: Any, parameters: Any) -> Any:
    if "path" in parameters:
        announce(parameters["path"], handler.headers_only)
    return {"headers_only": handler.headers_only, "request_id": handler.request_id}
