"""Walks over nested values: to check them, and to find the one that will not encode."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from typing import Any, NoReturn
from uuid import UUID

from toto._core.formats.errors import MalformedBody, NotSerializable
from toto._core.formats.limits import DecodeLimits

__all__ = ["PlainCopier", "check_tree"]

LEAVES = frozenset((str, int, float, bool, bytes, type(None)))
REFUSED_TYPE = "the body holds a type that is not accepted"
KEY_SHOWN_MAX = 64
# Two Python frames a level must fit in what the caller left of the recursion limit.
COPY_DEPTH_MAX = 200


def check_tree(value: Any, limits: DecodeLimits, refused: type | None = None) -> None:
    """Raise MalformedBody for a value over its limits, a key not a string, or a refused type."""
    if isinstance(value, dict | list):
        nodes = 1 + _check_container(value, limits.depth_max, refused)
        if nodes > limits.nodes_max:
            raise MalformedBody(f"the body has more than {limits.nodes_max} values")
    elif value.__class__ is refused:
        raise MalformedBody(REFUSED_TYPE)


def _check_container(container: Any, depth_left: int, refused: type | None) -> int:
    """Return the number of values inside a container, at any depth."""
    if not depth_left:
        raise MalformedBody("the body is nested too deep")
    children = container
    if isinstance(container, dict):
        for key in container:
            if key.__class__ is not str:
                raise MalformedBody("a map key is not a string")
        children = container.values()
    nodes = len(container)
    for child in children:
        kind = child.__class__
        if kind in LEAVES:
            continue
        if kind is dict or kind is list:
            nodes += _check_container(child, depth_left - 1, refused)
        elif kind is refused:
            raise MalformedBody(REFUSED_TYPE)
    return nodes


class PlainCopier:
    """Encodes, by way of a copy in plain types, what its format refused; or names the bad part.

    This is the slow way, taken only after the encoder itself has failed.

    Args:
        format_name: named in the error.
        encode: the format's encoder; every leaf is tried with it. What it does not take of what
            JSON carries (dataclasses, dates, UUIDs, enums) becomes what JSON makes of it.
    """

    def __init__(self, format_name: str, encode: Callable[[Any], bytes]) -> None:
        self._format_name = format_name
        self._encode = encode

    def encode(self, value: Any) -> bytes:
        """Encode the copy, or raise NotSerializable with the path of the first bad part."""
        try:
            copy = self._copy(value, ())
        except RecursionError:
            self._refuse((), f"{type(value).__name__}, nested too deep")
        if not self._accepts(copy):
            self._refuse((), type(value).__name__)
        return self._encode(copy)

    def _copy(self, value: Any, trail: tuple[str | int, ...]) -> Any:
        if len(trail) >= COPY_DEPTH_MAX:
            self._refuse(trail, f"{type(value).__name__}, nested too deep")
        if isinstance(value, dict):
            return {
                self._key(key, trail): self._copy(item, (*trail, key))
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._copy(item, (*trail, index)) for index, item in enumerate(value)]
        if self._accepts(value):
            return value
        if isinstance(value, float):
            return float(value)  # orjson refuses subclasses, such as numpy's float64
        plain = _plain(value)
        if plain is not value:
            return self._copy(plain, trail)
        if is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in fields(value) if not field.name.startswith("_")]
            return {name: self._copy(getattr(value, name), (*trail, name)) for name in names}
        self._refuse(trail, type(value).__name__)

    def _key(self, key: Any, trail: tuple[str | int, ...]) -> str:
        if not isinstance(key, str):
            self._refuse(trail, f"key of type {type(key).__name__}")
        plain = str.__str__(key)  # not str(key): an enum's own gives its name
        if not self._accepts({plain: None}):
            self._refuse(trail, f"key {plain[:KEY_SHOWN_MAX]!a}")
        return plain

    def _accepts(self, value: Any) -> bool:
        try:
            self._encode(value)
        except Exception:  # noqa: BLE001  # the encoders raise seven unrelated types
            return False
        return True

    def _refuse(self, trail: tuple[str | int, ...], what: str) -> NoReturn:
        raise NotSerializable(self._format_name, "$" + "".join(map(_step, trail)), what)


def _plain(value: Any) -> Any:
    """Return what JSON makes of a date, a UUID or an enum, and anything else as it is."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    shown = str.__str__(key)[:KEY_SHOWN_MAX]
    return f".{shown}" if shown.isidentifier() else f"[{shown!a}]"
