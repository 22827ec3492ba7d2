"""Answer first, then try to send a message, and tell in a file what comes of it."""

import threading
from typing import Any

from toto.invocation import asynchronous
from toto_test_app.library.files import announce


@asynchronous
def invoke(handler: Any, parameters: Any) -> None:
    def go_on() -> None:
        handler.respond("answered")
        try:
            handler.send_message("late")
        except BaseException as error:
            announce(parameters["path"], repr(error))
            raise
        announce(parameters["path"], "ignored")

    threading.Thread(target=go_on).start()
