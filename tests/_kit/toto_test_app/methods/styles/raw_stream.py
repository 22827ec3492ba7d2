"""Answer with pieces of a body: the second waits for a test when it gives a gate."""

from collections.abc import Iterator
from typing import Any

from toto.exceptions import TotoException
from toto.invocation import raw_response
from toto_test_app.library.files import await_file


@raw_response
def invoke(handler: Any, parameters: Any) -> Iterator[Any]:
    handler.response_type = "text/csv"
    if parameters.get("fails") == "first":
        raise TotoException(4242, "stopped")
    if parameters.get("fails") != "empty":
        yield b"a,b\n"
    if "release" in parameters:
        await_file(parameters["release"])
    if parameters.get("fails") == "later":
        raise TotoException(4242, "stopped")
    if parameters.get("fails") == "type":
        yield 7
    if parameters.get("fails") != "empty":
        yield "\u00e9,2\n"
