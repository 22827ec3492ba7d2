"""The same as ``push_much``, on the loop."""

from typing import Any

from toto_test_app.library.files import announce


async def invoke(handler: Any, parameters: Any) -> Any:
    for _ in range(parameters["count"]):
        await handler.send_message("x" * parameters["size"])
    announce(parameters["path"], "ended")
    return parameters["count"]
