"""What a worker knows about each method: its kind, its functions, and the table of all of them.

This module looks at functions only; finding them is the work of ``toto_worker.loader``.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from toto._core.layers import layers_of
from toto._core.parameter_type import ParameterType
from toto._core.traits import NO_TRAITS, Traits, own_traits
from toto._wire.constants import Lane

__all__ = ["Method", "MethodKind", "MethodTable", "doc_of", "kind_of", "traits_of"]

_TORNADO_ATTRIBUTE = "__tornado_coroutine__"


class MethodKind(StrEnum):
    """How an ``invoke`` has to be called."""

    FUNCTION = "function"
    COROUTINE = "coroutine"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async_generator"
    ASYNCHRONOUS = "asynchronous"

    @property
    def lane(self) -> Lane:
        """Where a call runs: in a thread of the executor, or on the worker's event loop."""
        if self in (MethodKind.FUNCTION, MethodKind.GENERATOR):
            return Lane.THREAD
        return Lane.LOOP


@dataclass(frozen=True, slots=True)
class Method:
    """One method: the name clients call, and what runs then.

    ``module`` is the module that owns the functions; for a re-export it differs from the name.
    ``doc`` is the docstring of ``invoke``, its indentation removed, or an empty string.
    """

    name: str
    kind: MethodKind
    invoke: Callable[..., Any]
    module: str
    on_connection_close: Callable[..., Any] | None = None
    doc: str = ""
    traits: Traits = NO_TRAITS
    parameters: ParameterType | None = None
    """What ``invoke`` turns the client's parameters into; None = nothing else."""


class MethodTable(Mapping[str, Method]):
    """Every method of a worker by name, in name order; it never changes.

    ``get(name)`` is one dictionary look-up and the only way from a request to a function.
    """

    __slots__ = ("_methods",)

    def __init__(self, methods: Iterable[Method]) -> None:
        by_name = {method.name: method for method in methods}
        self._methods = MappingProxyType(dict(sorted(by_name.items())))

    def __getitem__(self, name: str) -> Method:
        return self._methods[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._methods)

    def __len__(self) -> int:
        return len(self._methods)


def kind_of(invoke: Callable[..., Any]) -> MethodKind:
    """Return how ``invoke`` has to be called.

    The outermost layer that is a coroutine or a generator decides: a plain wrapper passes on what
    the function below it returns, but an ``async def`` wrapper makes a coroutine of anything.
    Layers are found through ``functools.wraps``, ``functools.partial`` and ``__call__``. A wrapper
    that runs a coroutine to its end itself has to drop its ``__wrapped__`` attribute.
    """
    is_asynchronous = False
    for layer in layers_of(invoke):
        kind = _own_kind(layer)
        if kind is not None:
            return kind
        is_asynchronous = is_asynchronous or own_traits(layer).is_asynchronous
    return MethodKind.ASYNCHRONOUS if is_asynchronous else MethodKind.FUNCTION


def traits_of(invoke: Callable[..., Any]) -> Traits:
    """Return what all decorators of ``invoke`` say together; the outermost counts most."""
    traits = NO_TRAITS
    for layer in layers_of(invoke):
        traits = traits.over(own_traits(layer))
    return traits


def doc_of(invoke: Callable[..., Any]) -> str:
    """Return the docstring of ``invoke`` without its indentation, or an empty string."""
    for layer in layers_of(invoke):
        doc = getattr(layer, "__doc__", None)
        # the docstring of a partial object is the one of functools.partial
        if isinstance(doc, str) and doc.strip() and not isinstance(layer, functools.partial):
            return inspect.cleandoc(doc).strip()
    return ""


def _own_kind(layer: object) -> MethodKind | None:
    """Return the kind that shows in this layer alone, if it shows."""
    # before the marker of Tornado, which functools.wraps copies onto any wrapper
    if inspect.isasyncgenfunction(layer):
        return MethodKind.ASYNC_GENERATOR
    if inspect.iscoroutinefunction(layer):
        return MethodKind.COROUTINE
    if inspect.isgeneratorfunction(layer):
        return MethodKind.GENERATOR
    if _is_marked(layer, _TORNADO_ATTRIBUTE):
        return MethodKind.COROUTINE
    return None


def _is_marked(layer: object, attribute: str) -> bool:
    return getattr(layer, attribute, None) is True
