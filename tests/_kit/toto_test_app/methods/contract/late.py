"""Answer after the client has left, and say how that went."""

import time
from typing import Any

from toto_test_app.library.files import announce


def invoke(handler: Any, parameters: Any) -> None:
    announce(parameters["started"], "started")
    while not handler.cancelled:
        time.sleep(0.001)
    try:
        handler.respond("too late")
        handler.respond(error=ValueError("later still"))
    except BaseException as error:
        announce(parameters["ended"], repr(error))
        raise
    announce(parameters["ended"], "ignored")
