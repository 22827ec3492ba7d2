"""Answer bytes piece by piece; the second piece waits for a test when it gives a gate."""

from typing import Any

from toto_test_app.library.files import await_file


def invoke(handler: Any, parameters: Any) -> None:
    handler.respond_raw(b"one ", "text/plain", finish=False)
    if "release" in parameters:
        await_file(parameters["release"])
    handler.respond_raw(b"two ", "text/plain", finish=False)
    handler.respond_raw(b"three", "text/plain", finish=True)
