"""The kind of an `invoke`, its docstring, and the table."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import tornado.gen

from toto._wire.constants import Lane
from toto.invocation import asynchronous
from toto_worker.methods import Method, MethodKind, MethodTable, doc_of, kind_of


def function(handler: Any, parameters: Any) -> Any:
    return parameters


async def coroutine(handler: Any, parameters: Any) -> Any:
    return parameters


def generator(handler: Any, parameters: Any) -> Iterator[int]:
    yield 1


async def async_generator(handler: Any, parameters: Any) -> AsyncIterator[int]:
    yield 1


@tornado.gen.coroutine
def tornado_coroutine(handler: Any, parameters: Any) -> Iterator[Any]:
    yield tornado.gen.moment


def passing_on(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def wrapper(*args: Any) -> Any:
        return fn(*args)

    return wrapper


def awaiting(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    async def wrapper(*args: Any) -> Any:
        return fn(*args)

    return wrapper


def repeating(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def wrapper(*args: Any) -> Iterator[Any]:
        yield fn(*args)

    return wrapper


class Service:
    """A service."""

    def __call__(self, handler: Any, parameters: Any) -> Any:
        return parameters

    async def handle(self, handler: Any, parameters: Any) -> Any:
        return parameters


class AsyncService:
    async def __call__(self, handler: Any, parameters: Any) -> Any:
        return parameters


class TornadoService:
    @tornado.gen.coroutine
    def __call__(self, handler: Any, parameters: Any) -> Iterator[Any]:
        yield tornado.gen.moment


class WrappedCallService:
    __call__ = passing_on(generator)


class Wrapping:
    def __init__(self, fn: Callable[..., Any]) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn

    def __call__(self, *args: Any) -> Any:
        return self.fn(*args)


class AnswersEveryAttribute:
    def __getattr__(self, name: str) -> "AnswersEveryAttribute":
        return AnswersEveryAttribute()

    def __call__(self, handler: Any, parameters: Any) -> Any:
        return parameters


SHAPES = [
    (function, "function"),
    (coroutine, "coroutine"),
    (generator, "generator"),
    (async_generator, "async_generator"),
    (tornado_coroutine, "coroutine"),
    (lambda handler, parameters: parameters, "function"),
    (print, "function"),
    (Service, "function"),
    (AsyncService, "function"),
    (Service(), "function"),
    (Service().handle, "coroutine"),
    (AsyncService(), "coroutine"),
    (TornadoService(), "coroutine"),
    (WrappedCallService(), "generator"),
    (AnswersEveryAttribute(), "function"),
]
WRAPPED = [
    (passing_on(function), "function"),
    (passing_on(coroutine), "coroutine"),
    (passing_on(generator), "generator"),
    (passing_on(async_generator), "async_generator"),
    (passing_on(tornado_coroutine), "coroutine"),
    (passing_on(passing_on(coroutine)), "coroutine"),
    (Wrapping(generator), "generator"),
    (functools.lru_cache(coroutine), "coroutine"),
    (functools.partial(function, None), "function"),
    (functools.partial(coroutine, None), "coroutine"),
    (functools.partial(passing_on(generator), None), "generator"),
    (passing_on(functools.partial(AsyncService(), None)), "coroutine"),
    (awaiting(function), "coroutine"),
    (awaiting(generator), "coroutine"),
    (repeating(coroutine), "generator"),
    (repeating(tornado_coroutine), "generator"),
]


@pytest.mark.parametrize(("invoke", "kind"), SHAPES + WRAPPED)
def test_kind_follows_what_a_call_returns(invoke: Callable[..., Any], kind: str) -> None:
    """The outermost coroutine or generator decides, whatever it is wrapped in."""
    assert kind_of(invoke) == kind


def test_asynchronous_function() -> None:
    """The decorator makes a plain function asynchronous, under further wrappers too."""

    @asynchronous
    def decorated(handler: Any, parameters: Any) -> None: ...

    assert kind_of(decorated) is MethodKind.ASYNCHRONOUS
    assert kind_of(passing_on(decorated)) is MethodKind.ASYNCHRONOUS
    assert kind_of(functools.partial(decorated, None)) is MethodKind.ASYNCHRONOUS
    assert kind_of(asynchronous(passing_on(function))) is MethodKind.ASYNCHRONOUS


@pytest.mark.parametrize("inner", [coroutine, tornado_coroutine])
def test_decorated_coroutine_stays_a_coroutine(inner: Callable[..., Any]) -> None:
    """The decorator on a coroutine changes nothing, since a coroutine may wait by itself."""
    assert kind_of(asynchronous(passing_on(inner))) is MethodKind.COROUTINE


def test_endless_wrapping_ends() -> None:
    """A function that claims to wrap itself is a function."""

    def invoke(handler: Any, parameters: Any) -> None: ...

    invoke.__wrapped__ = invoke  # type: ignore[attr-defined]  # as a faulty decorator does

    assert kind_of(invoke) is MethodKind.FUNCTION
    assert doc_of(invoke) == ""


def test_lanes() -> None:
    """What may block runs in a thread, the rest on the loop."""
    assert {kind.value: kind.lane for kind in MethodKind} == {
        "function": Lane.THREAD,
        "generator": Lane.THREAD,
        "coroutine": Lane.LOOP,
        "async_generator": Lane.LOOP,
        "asynchronous": Lane.LOOP,
    }


def test_doc_of() -> None:
    """The text comes from the first layer with a docstring, without its indentation."""

    def documented(handler: Any, parameters: Any) -> None:
        """
        Say hello.

        More words.
        """

    def blank(handler: Any, parameters: Any) -> None:
        """ """

    assert doc_of(documented) == "Say hello.\n\nMore words."
    assert doc_of(passing_on(documented)).startswith("Say hello.\n")
    assert doc_of(functools.partial(documented, None)).startswith("Say hello.\n")
    assert doc_of(Service()) == "A service."
    assert doc_of(blank) == ""
    assert doc_of(function) == ""


def test_table_is_a_sorted_mapping() -> None:
    """A table looks names up, answers None for the others, and lists itself in name order."""
    first = Method("a.b", MethodKind.FUNCTION, function, "app.a.b")
    second = Method("c", MethodKind.COROUTINE, coroutine, "app.c")

    table = MethodTable([second, first])

    assert table.get("a.b") is first
    assert table["c"] is second
    assert table.get("a") is None
    assert table.get("") is None
    assert "c" in table
    assert list(table) == ["a.b", "c"]
    assert len(table) == 2


def test_nothing_can_be_added() -> None:
    """Neither a table nor a method changes after it was made."""
    method = Method("a", MethodKind.FUNCTION, function, "app.a")
    table: Any = MethodTable([method])

    with pytest.raises(TypeError):
        table["b"] = method
    with pytest.raises(AttributeError):
        table.extra = method
    with pytest.raises(FrozenInstanceError):
        method.name = "b"  # type: ignore[misc]  # the error is the point
