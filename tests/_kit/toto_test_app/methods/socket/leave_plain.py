"""Send a message and work until cancelled; tell in a file when the client's leaving was told."""

import time
from typing import Any

from toto_test_app.library.files import announce


def invoke(handler: Any, parameters: Any) -> None:
    handler.left_path = parameters["left"]
    handler.send_message("waiting")
    while not handler.cancelled:
        time.sleep(0.002)


def on_connection_close(handler: Any) -> None:
    announce(handler.left_path, time.time())
