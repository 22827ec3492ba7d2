"""Calls methods by names that are none, and in ways that cannot work; tells what it got."""

from typing import Any

from toto.exceptions import TotoException
from toto_test_app.methods import echo


def invoke(handler: Any, parameters: Any) -> Any:
    names: list[Any] = ["\ud800", "\x00", "", "x" * 200, "é", None, 5, echo]
    return {
        "names": [code_of(handler, name) for name in names],
        "no_loop": text_of(lambda: handler.call("echo")),
    }


def code_of(handler: Any, name: Any) -> int:
    try:
        handler.call_sync(name)
    except TotoException as error:
        return error.code
    return 0


def text_of(call: Any) -> str:
    try:
        call()
    except RuntimeError as error:
        return str(error)
    return ""
