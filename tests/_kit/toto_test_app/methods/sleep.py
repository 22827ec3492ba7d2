"""Hold a thread for some seconds."""

import time
from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    time.sleep(float(parameters["seconds"]))
    return parameters["seconds"]
