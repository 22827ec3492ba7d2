"""Tell all that the handler knows about the call."""

import base64
import time
from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    request = handler.request
    return {
        "verb": request.verb,
        "uri": request.uri,
        "path": request.path,
        "query": {name: list(texts) for name, texts in request.query.items()},
        "headers": {name.lower(): text for name, text in request.headers.items()},
        "body": base64.b64encode(request.body).decode(),
        "body_type": type(request.body).__name__,
        "remote_ip": request.remote_ip,
        "content_type": request.content_type,
        "transaction_id": str(handler.transaction_id),
        "request_id": handler.request_id,
        "seconds_left": handler.deadline - time.monotonic(),
        "cancelled": handler.cancelled,
        "headers_only": handler.headers_only,
        "response_type": handler.response_type,
        "session": handler.session,
        "class": type(handler).__name__,
        "parameters": sorted(parameters),
    }
