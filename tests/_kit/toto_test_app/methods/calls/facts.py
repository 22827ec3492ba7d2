"""What a called method sees of its request."""

import time
from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    return {
        "request_id": handler.request_id,
        "transaction_id": str(handler.transaction_id),
        "seconds_left": handler.deadline - time.monotonic(),
        "remote_ip": handler.request.remote_ip,
        "header": handler.request.headers.get("x-test", ""),
        "response_type": handler.response_type,
        "parameters": parameters,
    }
