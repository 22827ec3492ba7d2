"""What a worker knows about each method: its kind, its functions, and the table of all of them.

This module looks at functions only; finding them is the work of ``toto_worker.loader``.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import FunctionType, MappingProxyType
from typing import Any

from toto._wire.constants import Lane, Policy
from toto.invocation import ASYNCHRONOUS_ATTRIBUTE, POLICY_ATTRIBUTE

__all__ = ["Method", "MethodKind", "MethodTable", "first_doc_line", "kind_of", "policy_of"]

_TORNADO_ATTRIBUTE = "__tornado_coroutine__"
_LAYERS_MAX = 100


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
    ``doc`` is the first line of the docstring, or an empty string.
    """

    name: str
    kind: MethodKind
    invoke: Callable[..., Any]
    module: str
    on_connection_close: Callable[..., Any] | None = None
    doc: str = ""
    policy: Policy = Policy.NONE


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
    for layer in _layers(invoke):
        kind = _own_kind(layer)
        if kind is not None:
            return kind
        is_asynchronous = is_asynchronous or _is_marked(layer, ASYNCHRONOUS_ATTRIBUTE)
    return MethodKind.ASYNCHRONOUS if is_asynchronous else MethodKind.FUNCTION


def policy_of(invoke: Callable[..., Any]) -> Policy:
    """Return what the decorators of ``invoke`` say of its caller's session."""
    policy = Policy.NONE
    for layer in _layers(invoke):
        said = getattr(layer, POLICY_ATTRIBUTE, None)
        if isinstance(said, Policy):
            policy |= said
    return policy


def first_doc_line(invoke: Callable[..., Any]) -> str:
    """Return the first line of the docstring of ``invoke``, or an empty string."""
    for layer in _layers(invoke):
        doc = getattr(layer, "__doc__", None)
        # the docstring of a partial object is the one of functools.partial
        if isinstance(doc, str) and doc.strip() and not isinstance(layer, functools.partial):
            return inspect.cleandoc(doc).splitlines()[0].rstrip()
    return ""


def _layers(invoke: object) -> Iterator[object]:
    """Yield ``invoke`` and what it wraps, outermost first."""
    layer: object = invoke
    # bounded, because an object may answer every attribute, __wrapped__ too, with a new object
    for _ in range(_LAYERS_MAX):
        yield layer
        if isinstance(layer, functools.partial):
            layer = layer.func
            continue
        call = getattr(type(layer), "__call__", None)  # noqa: B004  # the function, not a test
        wrapped = getattr(layer, "__wrapped__", None)
        if isinstance(call, FunctionType):
            yield call
            wrapped = getattr(call, "__wrapped__", None) if wrapped is None else wrapped
        if wrapped is None:
            return
        layer = wrapped


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
