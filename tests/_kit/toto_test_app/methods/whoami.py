"""Tell which process answers."""

import os
from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    return os.getpid()
