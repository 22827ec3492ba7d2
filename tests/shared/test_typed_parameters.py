"""Functions whose second argument has a type: of any kind, and under any decorators."""

import functools
import subprocess
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import tornado.gen

from toto._core.typed_parameters import parameters_of, typed
from toto.exceptions import TotoException
from toto.invocation import asynchronous, default_parameters, requires
from toto_testkit.typed import ItemStruct
from toto_worker.methods import kind_of

JSON_REQUEST = SimpleNamespace(verb="POST", content_type="application/json")
GET_REQUEST = SimpleNamespace(verb="GET", content_type="")
FORM_REQUEST = SimpleNamespace(
    verb="POST", content_type="Application/x-www-form-urlencoded; charset=utf-8"
)


def function(handler: Any, parameters: ItemStruct) -> Any:
    return parameters


async def coroutine(handler: Any, parameters: ItemStruct) -> Any:
    return parameters


def generator(handler: Any, parameters: ItemStruct) -> Iterator[Any]:
    yield parameters


async def async_generator(handler: Any, parameters: ItemStruct) -> AsyncIterator[Any]:
    yield parameters


@tornado.gen.coroutine
def tornado_coroutine(handler: Any, parameters: ItemStruct) -> Generator[Any, Any, Any]:
    yield tornado.gen.moment
    return parameters


@asynchronous
def later(handler: Any, parameters: ItemStruct) -> Any:
    return parameters


class Service:
    def __call__(self, handler: Any, parameters: ItemStruct) -> Any:
        return parameters

    def handle(self, handler: Any, parameters: ItemStruct) -> Any:
        return parameters


FUNCTIONS: list[Any] = [
    function,
    coroutine,
    generator,
    async_generator,
    tornado_coroutine,
    later,
    Service(),
    Service().handle,
    functools.partial(lambda more, handler, parameters: parameters, None),
]


@pytest.mark.parametrize("invoke", FUNCTIONS)
def test_a_function_keeps_its_kind(invoke: Any) -> None:
    """A worker calls it as it did, decorated or not."""
    assert kind_of(typed(invoke)) is kind_of(invoke)
    assert kind_of(requires("count")(invoke)) is kind_of(invoke)


@pytest.mark.parametrize("invoke", FUNCTIONS[:-1])
def test_the_type_of_any_function_is_found(invoke: Any) -> None:
    """Bound methods, callable objects and decorated functions have a second argument as well."""
    for decorated in (typed(invoke), requires("count")(invoke)):
        found = parameters_of(decorated)
        assert found is not None
        assert found.annotation is ItemStruct


@pytest.mark.parametrize(
    "invoke", [print, lambda handler, parameters: parameters, lambda *arguments: arguments, dict]
)
def test_functions_without_an_annotation(invoke: Any) -> None:
    """Those of C, those that take anything, and plain ones."""
    assert parameters_of(typed(invoke)) is None


def test_an_error_of_a_generator_comes_before_its_first_item() -> None:
    """So that the answer can still be an ordinary error."""
    with pytest.raises(TotoException):
        typed(generator)(None, {})


def test_only_the_innermost_layer_converts() -> None:
    """A decorator sees the dictionary, wherever it stands; what it adds is converted."""
    seen: list[Any] = []

    def watching(fn: Any) -> Any:
        @functools.wraps(fn)
        def wrapper(handler: Any, parameters: Any) -> Any:
            seen.append(type(parameters))
            return fn(handler, parameters)

        return wrapper

    invoke = watching(requires("count")(watching(default_parameters({"count": 2})(function))))
    inner = typed(invoke)

    assert inner is invoke
    assert typed(functools.partial(invoke)).func is invoke  # type: ignore[attr-defined]
    assert invoke(None, {"count": 3}) == ItemStruct(3)
    assert default_parameters({"count": 2})(function)(None, {}) == ItemStruct(2)
    assert seen == [dict, dict]


def test_a_record_passes_through_decorators() -> None:
    """A method calls another one with what it was given."""
    invoke = requires("count")(default_parameters({"count": 2})(function))
    item = ItemStruct(1)

    assert invoke(None, item) is item
    with pytest.raises(TotoException, match="Missing parameters: count"):
        invoke(None, {})


WRITTEN_LATE = """
from __future__ import annotations
from typing import TYPE_CHECKING
import toto_test_records as records
from toto_test_records import Item as Renamed
if TYPE_CHECKING:
    from nowhere import Handler, Hidden

def by_name(handler: Handler, parameters: Renamed): return parameters
def by_module(handler: Handler, parameters: records.Item | None) -> Nowhere: return parameters
def by_text(handler, parameters: "Below"): return parameters
def hidden(handler, parameters: Hidden): return parameters
def mapping(handler, parameters: dict[str, Hidden]): return parameters
def wrong(handler, parameters: "1 +"): return parameters

class Below(records.Item): ...
"""


def test_annotations_that_are_texts() -> None:
    """One that type checkers alone can read says nothing; the handler's is never looked at."""
    records = SimpleNamespace(Item=ItemStruct)
    scope: dict[str, Any] = {"__name__": "written_late"}
    sys.modules["toto_test_records"] = records  # type: ignore[assignment]  # stands for a module
    try:
        exec(WRITTEN_LATE, scope)  # noqa: S102  # the text above
    finally:
        del sys.modules["toto_test_records"]

    found = {name: parameters_of(typed(scope[name])) for name in scope if callable(scope[name])}

    told = {name: kind.annotation for name, kind in found.items() if kind is not None}
    assert told["by_name"] is ItemStruct
    assert told["by_module"] == ItemStruct | None
    assert told["by_text"] is scope["Below"]
    assert told.keys() == {"by_name", "by_module", "by_text"}


def test_what_stands_further_down_is_found_at_the_first_call() -> None:
    """The decorator runs before the class exists."""
    scope: dict[str, Any] = {"requires": requires, "msgspec": msgspec, "__name__": "written_late"}
    text = (
        '@requires("n")\ndef invoke(handler, parameters: "Below"): return parameters\n'
        "class Below(msgspec.Struct):\n    n: int\n"
    )

    exec(text, scope)  # noqa: S102  # the text above

    assert scope["invoke"](None, {"n": 1}) == scope["Below"](1)


def test_validators_are_imported_only_when_they_are_needed() -> None:
    """Workers without typed methods do not pay for them."""
    code = (
        "import sys, toto.invocation, toto_worker.loader\n"
        "invoke = toto.invocation.requires('a')(lambda handler, parameters: parameters)\n"
        "invoke(None, {'a': 1})\n"
        "print(sorted({'msgspec', 'pydantic'} & sys.modules.keys()))\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [(GET_REQUEST, 3), (FORM_REQUEST, 3), (JSON_REQUEST, None), (None, None)],
)
def test_the_request_tells_whether_there_is_only_text(request_: Any, expected: Any) -> None:
    """A JSON text is no number, and neither is one that another function passes."""

    def invoke(handler: Any, parameters: ItemStruct) -> Any:
        return parameters.count

    handler = SimpleNamespace(request=request_)

    if expected is None:
        with pytest.raises(TotoException):
            typed(invoke)(handler, {"count": "3"})
    else:
        assert typed(invoke)(handler, {"count": "3"}) == expected
