"""Does one of many wrong things, as methods of tired authors do."""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

from toto.exceptions import TotoException


class Forgetful(TotoException):
    """Does not call its parent's constructor."""

    def __init__(self, text: str) -> None:
        self.text = text


class Wordless(Exception):
    """Has no text to give."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def fail(error: BaseException) -> Any:
    raise error


def answer_twice(handler: Any) -> str:
    handler.respond("first")
    handler.respond("second")
    return "third"


def answer_from_a_thread(handler: Any) -> None:
    thread = threading.Thread(target=handler.respond, args=("from a thread",))
    thread.start()
    thread.join()


def raw_then_large(handler: Any) -> None:
    handler.respond_raw(b"x", "text/plain", finish=False)
    handler.respond("y" * 5_000_000)


def circular(handler: Any) -> list[Any]:
    result: list[Any] = []
    result.append(result)
    return result


WAYS: dict[str, Callable[[Any], Any]] = {
    "header-surrogate": lambda h: h.set_header("X-A", "a\udcff"),
    "header-not-latin": lambda h: h.set_header("X-A", "日本"),
    "header-line-break": lambda h: h.add_header("X-A", "a\r\nSet-Cookie: evil"),
    "header-name": lambda h: h.set_header("bad name", "x"),
    "header-name-type": lambda h: h.add_header(5, "x"),
    "header-object": lambda h: h.add_header("X-A", object()),
    "header-huge": lambda h: h.set_header("X-A", "a" * 1_200_000),
    "headers-many": lambda h: [h.add_header("X-A", "a" * 1000) for _ in range(50)],
    "status-range": lambda h: h.set_status(99),
    "status-type": lambda h: h.set_status(200.5),
    "content-type-none": lambda h: h.respond_raw(b"x", None),
    "content-type-line-break": lambda h: h.respond_raw(b"x", "text/plain\r\nX: y"),
    "error-forgetful": lambda h: fail(Forgetful("x")),
    "error-wordless": lambda h: fail(Wordless()),
    "error-code-huge": lambda h: fail(TotoException(2**63, "x")),
    "error-code-text": lambda h: fail(TotoException("abc", "x")),  # type: ignore[arg-type]
    "error-value-object": lambda h: fail(TotoException(5, object())),
    "exit": lambda h: sys.exit(3),
    "recursion": lambda h: WAYS["recursion"](h),
    "circular": circular,
    "raw-then-large": raw_then_large,
    "twice": answer_twice,
    "thread": answer_from_a_thread,
}


def invoke(handler: Any, parameters: Any) -> Any:
    handler.how = parameters["how"]
    if parameters["how"] == "coroutine-in-function":
        return sleeping(parameters["seconds"])
    return WAYS[parameters["how"]](handler)


async def sleeping(seconds: float) -> None:
    await asyncio.sleep(seconds)
