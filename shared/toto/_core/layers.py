"""What a function is made of: the layers that decorators put around it."""

import functools
from collections.abc import Iterator
from types import FunctionType

__all__ = ["layers_of"]

_LAYERS_MAX = 100


def layers_of(function: object) -> Iterator[object]:
    """Yield a function and what it wraps, outermost first.

    Layers are found through ``functools.wraps``, ``functools.partial`` and ``__call__``.
    """
    layer: object = function
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
