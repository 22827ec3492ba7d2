"""Works until the call is given up, and then returns what it has so far."""

import time
from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    while not handler.cancelled:
        time.sleep(0.001)
    return "half a result"
