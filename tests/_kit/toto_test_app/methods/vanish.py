"""End the worker process in the middle of a call."""

import os
from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    os._exit(int(parameters["code"]))
