"""Raise what was asked for."""

from collections.abc import Callable
from typing import Any

from toto.exceptions import TotoException


class Coded(Exception):
    """Has a code and a value, and is no TotoException."""

    code = 4242
    value = "secret of Coded"


class Special(TotoException):
    """A user's own kind of TotoException."""


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot even be printed")

    __repr__ = __str__


ERRORS: dict[str, Callable[[], BaseException]] = {
    "unfit": lambda: TotoException(4242, {"why": [object()]}),
    "coded": lambda: Coded("secret of Coded"),
    "lookup": lambda: KeyError("secret key"),
    "timeout": lambda: TimeoutError("secret timeout"),
    "stop": lambda: StopIteration("secret stop"),
    "exit": lambda: SystemExit("secret exit"),
    "unprintable": Unprintable,
}


def error_of(parameters: Any) -> BaseException:
    kind = parameters["kind"]
    if kind in ("toto", "special"):
        error_class = TotoException if kind == "toto" else Special
        return error_class(parameters["code"], parameters["value"])
    return ERRORS[kind]()


def invoke(handler: Any, parameters: Any) -> None:
    raise error_of(parameters)
