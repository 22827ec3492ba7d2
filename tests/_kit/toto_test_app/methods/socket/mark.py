"""Leave a line in a file: the call has run."""

from typing import Any

from toto_test_app.library.files import append


def invoke(handler: Any, parameters: Any) -> Any:
    append(parameters["path"], "ran")
    return "ran"
