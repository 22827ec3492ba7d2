"""Say which process has started the call, then hold its thread until a test opens the gate."""

import os
from typing import Any

from toto_test_app.library.files import announce, append, await_file


def invoke(handler: Any, parameters: Any) -> Any:
    handler.gate_closed_path = parameters.get("closed")
    announce(parameters["started"], os.getpid())
    await_file(parameters["release"])
    return os.getpid()


def on_connection_close(handler: Any) -> None:
    if handler.gate_closed_path:
        append(handler.gate_closed_path, "closed")
