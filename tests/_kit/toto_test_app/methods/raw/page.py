"""Answer bytes of any content type in one piece."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> None:
    handler.respond_raw(b"<p>\x00\xff</p>", "text/html")
