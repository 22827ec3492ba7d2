"""Tell which process answers, after some time if asked to."""

import os
import time
from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    time.sleep(float(parameters.get("seconds", 0)))
    return os.getpid()
