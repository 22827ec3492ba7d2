"""Decorators for ``invoke`` functions."""

from collections.abc import Callable
from typing import TypeVar

__all__ = ["asynchronous"]

_F = TypeVar("_F", bound=Callable[..., object])

ASYNCHRONOUS_ATTRIBUTE = "__toto_asynchronous__"


def asynchronous(fn: _F) -> _F:
    """Let a method return before it has answered.

    The function runs on the worker's event loop, so it must not block. If it returns None the call
    stays open until ``handler.respond(...)`` is called, from any thread; any other value answers
    the call at once.
    """
    setattr(fn, ASYNCHRONOUS_ATTRIBUTE, True)
    return fn
