"""Send many large messages, and write a file when all have gone."""

from typing import Any

from toto_test_app.library.files import announce


def invoke(handler: Any, parameters: Any) -> Any:
    for _ in range(parameters["count"]):
        handler.send_message("x" * parameters["size"])
    announce(parameters["path"], "ended")
    return parameters["count"]
