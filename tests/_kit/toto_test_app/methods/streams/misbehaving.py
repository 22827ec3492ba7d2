"""Streams that go wrong."""

from collections.abc import Iterator
from typing import Any

from toto.exceptions import TotoException


def invoke(handler: Any, parameters: Any) -> Iterator[Any]:
    how = parameters["how"]
    if how == "answer-and-yield":
        handler.respond("answered")
        for _ in range(100):
            yield "x" * 65536
    elif how == "large-error":
        yield 1
        raise TotoException(4000, "x" * 3_500_000)
    elif how == "no-content":
        handler.set_status(204)
        handler.respond_raw(b"HTTP/1.1 200 OK\r\n\r\nEVIL!", "text/plain", finish=False)
        yield from ()
    elif how == "endless":
        while True:
            yield 1
