"""Return the digest of bytes, and the bytes."""

import hashlib
from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    body = parameters["body"]
    return {"sha256": hashlib.sha256(body).hexdigest(), "body": body}
