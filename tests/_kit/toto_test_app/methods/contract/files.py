"""Describe what was uploaded; small bodies come back as hexadecimal, all with their digest."""

import hashlib
from typing import Any

SHOWN_BYTES = 4096


def describe(upload: Any) -> Any:
    body = upload["body"]
    return {
        "filename": upload["filename"],
        "content_type": upload["content_type"],
        "type": type(body).__name__,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "hex": body.hex() if len(body) <= SHOWN_BYTES else None,
    }


def invoke(handler: Any, parameters: Any) -> Any:
    files = {name: [describe(each) for each in all_] for name, all_ in parameters["files"].items()}
    return {"arguments": parameters["arguments"], "files": files}
