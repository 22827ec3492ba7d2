"""Answer later with the body itself, by ``handler.respond``."""

import threading
from typing import Any

from toto.invocation import asynchronous, raw_response


@asynchronous
@raw_response
def invoke(handler: Any, parameters: Any) -> None:
    handler.response_type = "text/css"
    threading.Timer(0.02, lambda: handler.respond(b"p { color: red }")).start()
