"""Fail in a raw answer: before its first byte, or after it."""

from typing import Any

from toto.exceptions import TotoException


def invoke(handler: Any, parameters: Any) -> None:
    if parameters["after"]:
        handler.respond_raw(b"one ", "text/plain", finish=False)
    raise TotoException(4242, "stopped")
