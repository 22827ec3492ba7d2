"""Return at once and answer later, from another thread."""

import threading
from typing import Any

import toto.invocation
from toto.exceptions import TotoException


@toto.invocation.asynchronous
def invoke(handler: Any, parameters: Any) -> None:
    def answer() -> None:
        if "code" in parameters:
            handler.respond(error=TotoException(parameters["code"], "later"))
        else:
            handler.respond(["later", parameters])

    threading.Timer(0.02, answer).start()
