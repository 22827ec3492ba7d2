"""Methods whose second argument is annotated with a type get their parameters as one."""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from toto._core.layers import layers_of
from toto._core.parameter_type import ParameterType, parameter_type

__all__ = ["parameters_of", "typed"]

SOURCE_ATTRIBUTE = "__toto_parameters__"
_TEXT_MEDIA_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class ParameterSource:
    """The annotation of a function's second argument, which is looked at late.

    While a module is imported its annotation may name what stands further down in it.
    """

    __slots__ = ("_found", "_function", "_is_resolved")

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._is_resolved = False
        self._found: ParameterType | None = None

    def resolve(self) -> ParameterType | None:
        """Return the type that is asked for, or None.

        Raises:
            UnsupportedType: it cannot be decoded.
        """
        if not self._is_resolved:
            self._found = parameter_type(_annotation_of(self._function))
            self._is_resolved = True
        return self._found


def typed(invoke: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that converts its parameters, if ``invoke`` wants that, and calls it.

    The function is of the same kind for whoever follows ``__wrapped__``. What has such a layer
    already is returned as it is: the innermost one converts, and all around it see what the
    client sent.
    """
    if _source_of(invoke) is not None:
        return invoke
    source = ParameterSource(invoke)

    @functools.wraps(invoke)
    def convert(handler: Any, parameters: Any) -> Any:
        wanted = source.resolve()
        if wanted is not None:
            parameters = wanted.convert(parameters, is_text=_is_text(handler))
        return invoke(handler, parameters)

    setattr(convert, SOURCE_ATTRIBUTE, source)
    return convert


def parameters_of(invoke: Callable[..., Any]) -> ParameterType | None:
    """Return the type that a function which ``typed`` returned converts parameters into.

    Raises:
        UnsupportedType: it cannot be decoded.
    """
    source = _source_of(invoke)
    return None if source is None else source.resolve()


def _source_of(invoke: Callable[..., Any]) -> ParameterSource | None:
    for layer in layers_of(invoke):
        source = getattr(layer, SOURCE_ATTRIBUTE, None)
        if isinstance(source, ParameterSource):
            return source
    return None


def _annotation_of(function: Callable[..., Any]) -> Any:
    """Return the second argument's annotation; None if there is none that can be told.

    No other annotation is looked at, for that of the handler is often known to type checkers only.
    """
    options: dict[str, Any] = {}
    if sys.version_info >= (3, 14):
        import annotationlib

        options["annotation_format"] = annotationlib.Format.FORWARDREF
    try:
        arguments = list(inspect.signature(function, **options).parameters.values())
    except (AttributeError, TypeError, ValueError):  # a built-in function, or a strange object
        return None
    positional = [a for a in arguments if a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD)]
    annotation = positional[1].annotation if len(positional) > 1 else None
    text = getattr(annotation, "__forward_arg__", annotation)
    if isinstance(text, str):
        annotation = _evaluated(text, function)
        # quotes in a module whose annotations are texts without them
        return _evaluated(annotation, function) if isinstance(annotation, str) else annotation
    return annotation


def _evaluated(text: str, function: Callable[..., Any]) -> Any:
    scope: dict[str, Any] = {}
    for layer in layers_of(function):
        found = getattr(layer, "__globals__", None)
        scope = found if isinstance(found, dict) else scope
    try:
        return eval(text, scope)  # noqa: S307  # the user's own source text
    except Exception:  # noqa: BLE001  # whatever it may be, it is known to type checkers only
        return None


def _is_text(handler: Any) -> bool:
    request = getattr(handler, "request", None)
    if getattr(request, "verb", "") in ("GET", "HEAD"):
        return True
    media_type = str(getattr(request, "content_type", "")).partition(";")[0].strip().lower()
    return media_type in _TEXT_MEDIA_TYPES
