"""A startup function that has every call leave two lines in a file."""

import json
import os
from typing import Any

from toto.handler import TotoHandler


def note(*fields: Any) -> None:
    line = json.dumps(fields) + "\n"
    descriptor = os.open(os.environ["TEST_APP_NOTES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, line.encode())  # one write, so that processes do not mix lines
    finally:
        os.close(descriptor)


def before(handler: Any, transaction_id: Any, method: str) -> None:
    key = getattr(handler, "request_key", None)
    note("before", method, str(transaction_id), handler.request_id, key)
    if method == "nothing":
        raise ValueError("a hook that fails")


def after(handler: Any, transaction_id: Any) -> None:
    note("after", None, str(transaction_id), handler.request_id, handler.finished)


def set_hooks(**kwargs: Any) -> None:
    TotoHandler.set_before_handler(before)
    TotoHandler.set_after_handler(after)
