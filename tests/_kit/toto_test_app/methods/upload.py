"""Describe a multipart request; bytes are no JSON, so they are shown as hexadecimal."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    files = {
        name: [{**upload, "body": upload["body"].hex()} for upload in uploads]
        for name, uploads in parameters["files"].items()
    }
    return {"arguments": parameters["arguments"], "files": files, "keys": sorted(parameters)}
