"""Ends its worker the first so many times that it runs."""

import os
import time
from pathlib import Path
from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    trace = Path(parameters["path"])
    runs = len(trace.read_bytes()) if trace.exists() else 0
    with trace.open("ab") as file:
        file.write(b".")
    if "streams" in parameters:
        handler.respond_raw(b"begun", "text/plain", finish=False)
        while not Path(parameters["streams"]).exists():
            time.sleep(0.01)
    if runs < parameters["deaths"]:
        os._exit(9)
    return {"runs": runs + 1, "parameters": parameters}
