"""Answer later in the format that was asked for."""

import threading
from typing import Any

from toto.invocation import asynchronous


@asynchronous
def invoke(handler: Any, parameters: Any) -> None:
    handler.response_type = parameters["type"]
    threading.Timer(0.01, handler.respond, [{"value": 2**40, "text": "é"}]).start()
