"""The type a method wants its parameters in, and what it makes of those that a client sent.

msgspec validates, or pydantic where the type is one of its models. Either is imported only for a
method that has such a type, so that workers without one do not pay for it.
"""

import copy
import dataclasses
import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NewType, NoReturn, get_args, get_origin

from toto.exceptions import ERROR_MISSING_PARAMS, TotoException

__all__ = ["ParameterType", "UnsupportedType", "is_record", "parameter_type", "refuse_missing"]

VALUE_LENGTH_MAX = 200
ERRORS_SHOWN_MAX = 5
_NAME_LENGTH_MAX = 60
_PATH = re.compile(r" - at `(key` in `)?\$([^`]*)`\Z")
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_JSON_NAMES: Mapping[type, str] = {
    bool: "bool",
    bytes: "bytes",
    dict: "object",
    float: "float",
    int: "int",
    list: "array",
    str: "str",
    type(None): "null",
}
_SCHEMA_NAMES = ("$ref", "allOf", "anyOf", "oneOf")


class UnsupportedType(TypeError):
    """Nothing that a client sends can be decoded into a type; the text tells why."""


class ParameterType(ABC):
    """A type for parameters, with its JSON schema."""

    def __init__(self, annotation: Any, schema: dict[str, Any]) -> None:
        self.annotation = annotation
        self._schema = schema
        self._definitions: Mapping[str, Any] = schema.get("$defs", {})
        self._classes = tuple(
            kind for kind in _record_classes(annotation) if not _is_typed_dict(kind)
        )

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of the parameters."""
        return copy.deepcopy(self._schema)

    def convert(self, value: Any, *, is_text: bool) -> Any:
        """Return parameters as an instance of the type; one that is an instance already stays.

        Args:
            value: what the client sent.
            is_text: it comes from a query or a form, which know neither numbers nor, of a field
                that is given once, whether it is a list.

        Raises:
            TotoException: it is not of the type (1003).
        """
        if isinstance(value, self._classes):
            return value
        if is_text:
            value = self._fitted(value, self._schema)
        return self._validated(value, is_text=is_text)

    @abstractmethod
    def _validated(self, value: Any, *, is_text: bool) -> Any: ...

    def _fitted(self, value: Any, schema: Mapping[str, Any]) -> Any:
        """Make lists of single texts, or texts of lists of one, where the schema has them so."""
        leaves = list(self._leaves(schema))
        if isinstance(value, dict):
            fields: dict[str, Any] = {}
            for leaf in leaves:
                fields |= leaf.get("properties", {})
            return {name: self._fitted(item, fields.get(name, {})) for name, item in value.items()}
        kinds = {leaf.get("type", "any" if not leaf else "enumeration") for leaf in leaves}
        if "any" in kinds:
            return value
        if isinstance(value, str) and "array" in kinds and kinds <= {"array", "null"}:
            return [value]
        if isinstance(value, list) and len(value) == 1 and "array" not in kinds:
            return value[0]
        return value

    def _leaves(self, schema: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
        """Yield what a schema stands for: those it refers to, or one of which has to match."""
        if depth > len(self._definitions) + 8:  # a type that is nothing but itself
            return
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            yield from self._leaves(self._definitions.get(name, {}), depth + 1)
        for word in ("allOf", "anyOf", "oneOf"):
            for part in schema.get(word, ()):
                yield from self._leaves(part, depth + 1)
        if not any(word in schema for word in _SCHEMA_NAMES):
            told = ("type", "enum", "const", "properties")
            yield {word: schema[word] for word in told if word in schema}


class MsgspecType(ParameterType):
    """A dataclass, TypedDict or Struct, or something made of them."""

    def __init__(self, annotation: Any) -> None:
        import msgspec

        super().__init__(annotation, msgspec.json.schema(annotation, schema_hook=_schema_of_custom))
        self._convert = functools.partial(msgspec.convert, type=annotation, str_keys=True)
        self._error_class = msgspec.ValidationError
        name = self._schema.get("$ref", "").rpartition("/")[2]
        root = self._definitions.get(name, self._schema)
        config = getattr(annotation, "__struct_config__", None)
        # msgspec takes a Struct without its tag where nothing else can be meant
        self._required = set(root.get("required", ())) - {getattr(config, "tag_field", None)}

    def _validated(self, value: Any, *, is_text: bool) -> Any:
        try:
            return self._convert(value, strict=not is_text)
        except self._error_class as error:
            text = str(error)
        if isinstance(value, Mapping):
            refuse_missing(self._required.difference(value))
        self._refuse(text)

    def _refuse(self, text: str) -> NoReturn:
        at = _PATH.search(text)
        path = at[2] if at else ""
        reason = text[: at.start()] if at else text
        if at and at[1]:
            reason = f"key: {_lowered(reason)}"
        field = _FIELD.fullmatch(reason)
        if field:
            if not path and field[1] == "missing required":
                refuse_missing([field[2]])
            path = f"{path}.{_cut(field[2], _NAME_LENGTH_MAX)}"
            reason = "missing" if field[1] == "missing required" else "unknown field"
        elif not path and reason.startswith("Expected `object`"):
            reason = reason.replace("`object`", "an object", 1)
        _refuse_invalid([(path.removeprefix("."), reason.replace("`", ""))])


class PydanticType(ParameterType):
    """A model or a dataclass of pydantic, or something made of them."""

    def __init__(self, annotation: Any) -> None:
        import pydantic
        from pydantic.json_schema import GenerateJsonSchema

        class Generator(GenerateJsonSchema):
            """Leaves open what JSON schema has no words for."""

            ignored_warning_kinds = frozenset({"skipped-choice", "non-serializable-default"})  # type: ignore[assignment]

            def handle_invalid_for_json_schema(
                self, schema: Any, error_info: str
            ) -> dict[str, Any]:
                return {}

        validate: Callable[..., Any]
        if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
            validate = annotation.model_validate
            schema = annotation.model_json_schema(schema_generator=Generator)
        else:
            adapter = pydantic.TypeAdapter(annotation)
            validate = adapter.validate_python
            schema = adapter.json_schema(schema_generator=Generator)
        super().__init__(annotation, schema)
        self._validate = validate
        self._error_class = pydantic.ValidationError

    def _validated(self, value: Any, *, is_text: bool) -> Any:
        try:
            return self._validate(value, strict=False) if is_text else self._validate(value)
        except self._error_class as error:
            errors = error.errors(include_url=False, include_context=False, include_input=False)
        missing = [e["loc"][0] for e in errors if e["type"] == "missing" and len(e["loc"]) == 1]
        refuse_missing(str(name) for name in missing)
        shown = [(_path_of(e["loc"]), e) for e in errors[:ERRORS_SHOWN_MAX]]
        _refuse_invalid([(path, _reason_of(dict(e), path, value)) for path, e in shown])


def parameter_type(annotation: Any) -> ParameterType | None:
    """Return what an annotation asks for, or None when it leaves parameters as they are.

    It asks for something when it is a dataclass, a TypedDict, a ``msgspec.Struct`` or a model of
    pydantic, or is made of one: ``list[Order]``, ``Order | Refund``.

    Raises:
        UnsupportedType: it asks for what cannot be decoded.
    """
    classes = list(_record_classes(annotation))
    if not classes:
        return None
    try:
        if any(_is_of_pydantic(kind) for kind in classes):
            return PydanticType(annotation)
        return MsgspecType(annotation)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UnsupportedType(f"{_shown(annotation)} cannot be decoded: {reason}") from error


def refuse_missing(names: Any) -> None:
    """Raise error 1003, which lists the names in their order, if there are any."""
    missing = sorted(set(names))
    if missing:
        raise TotoException(ERROR_MISSING_PARAMS, f"Missing parameters: {', '.join(missing)}")


def is_record(value: object) -> bool:
    """Tell whether a value is an instance of a type that parameters are converted into."""
    return _is_record_class(type(value))


# -- annotations


def _record_classes(annotation: Any) -> Iterator[type]:
    origin = get_origin(annotation)
    for candidate in (annotation, origin):
        if _is_record_class(candidate):
            yield candidate
    for part in get_args(annotation):
        yield from _record_classes(part)
    if isinstance(annotation, NewType):
        yield from _record_classes(annotation.__supertype__)
    elif type(annotation).__name__ == "TypeAliasType":  # `type X = ...`, of Python 3.12
        yield from _record_classes(annotation.__value__)


def _is_record_class(kind: Any) -> bool:
    return isinstance(kind, type) and (
        dataclasses.is_dataclass(kind)
        or hasattr(kind, "__struct_fields__")
        or _is_typed_dict(kind)
        or _is_of_pydantic(kind)
    )


def _is_typed_dict(kind: type) -> bool:
    # those of typing_extensions are other classes than those of typing
    return issubclass(kind, dict) and hasattr(kind, "__required_keys__")


def _is_of_pydantic(kind: type) -> bool:
    return hasattr(kind, "__pydantic_validator__") or any(
        base.__name__ == "BaseModel" and base.__module__.partition(".")[0] == "pydantic"
        for base in kind.__mro__
    )


def _shown(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else repr(annotation)


def _schema_of_custom(kind: type) -> dict[str, Any]:
    # BSON brings objects of its own; everything else that msgspec does not know never arrives.
    if kind is object or kind.__module__.partition(".")[0] == "bson":
        return {"title": kind.__name__}  # msgspec takes an empty schema for none
    raise TypeError(f"no request can carry values of type {kind.__qualname__}")


# -- errors


def _refuse_invalid(found: list[tuple[str, str]]) -> NoReturn:
    reasons = "; ".join(
        f"{path}: {_lowered(text)}" if path else _lowered(text) for path, text in found
    )
    text = _cut(f"Invalid parameters: {reasons}", VALUE_LENGTH_MAX)
    text = "".join(char if char.isprintable() else "?" for char in text)
    raise TotoException(ERROR_MISSING_PARAMS, text)


def _path_of(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{_cut(part, _NAME_LENGTH_MAX)}"
    return path.removeprefix(".")


def _reason_of(error: dict[str, Any], path: str, value: Any) -> str:
    kind, text = error["type"], str(error["msg"])
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        return "unknown field"
    if not path and kind in ("model_type", "dataclass_type", "model_attributes_type"):
        given = _JSON_NAMES.get(type(value), type(value).__name__)
        return f"expected an object, got {given}"
    return text.removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
