"""What the value of an option may be: a kind turns what a user wrote into a value, or refuses it.

A kind is told where a value came from only to say so when it refuses; it never looks there.
"""

import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

__all__ = [
    "Kind",
    "Secret",
    "SettingsError",
    "choice",
    "duration",
    "flag",
    "integer",
    "names",
    "path",
    "secret",
    "size",
    "text",
]

T = TypeVar("T")
_Number = TypeVar("_Number", int, float)

_MASK = "********"
_SHOWN_CHARACTERS = 60
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)")
_SECONDS = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600}
_BYTES = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
_DURATION_SECONDS_MAX = 8760 * 3600
_FLAG_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


class SettingsError(Exception):
    """The settings cannot be used; the text is one sentence for the person who wrote them."""


class Secret:
    """Text that never shows in a log, a traceback or ``--show-config``.

    Args:
        value: the text to keep; only ``reveal()`` gives it back.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself."""
        return self._value

    def __str__(self) -> str:
        return _MASK if self._value else ""

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of option value.

    Args:
        name: the word for it in ``--help``, such as ``integer``.
        expected: completes "must be ...".
        parse: makes the value, or raises ValueError.
        show: writes the value as ``parse`` reads it (a secret is masked).
        is_quoted: whether a conf file writes it between quotes.
        is_secret: whether a refused value must not be repeated.
    """

    name: str
    expected: str
    parse: Callable[[object], T]
    show: Callable[[T], str] = str
    is_quoted: bool = True
    is_secret: bool = False

    def read(self, value: object, source: str) -> T:
        """Validate a value.

        Args:
            value: text, or a value of a conf file or of Python code.
            source: where it came from, such as ``option --port``.

        Raises:
            SettingsError: it is not of this kind.
        """
        try:
            return self.parse(value)
        except ValueError as error:
            problem = "" if self.is_secret else f"is {_shown(value)}, but "
            raise SettingsError(f"{source} {problem}must be {self.expected}") from error

    def literal(self, value: T) -> str:
        """Write a value as a conf file holds it."""
        shown = self.show(value)
        return json.dumps(shown, ensure_ascii=False) if self.is_quoted else shown


def text() -> Kind[str]:
    """Make the kind of any text."""
    return Kind("text", "text", _parse_text)


def secret() -> Kind[Secret]:
    """Make the kind of text that is masked wherever it is shown."""

    def parse(value: object) -> Secret:
        return value if isinstance(value, Secret) else Secret(_parse_text(value))

    return Kind("secret", "text", parse, is_secret=True)


def path() -> Kind[Path]:
    """Make the kind of a file or folder, which need not exist."""

    def parse(value: object) -> Path:
        name = _parse_text(str(value) if isinstance(value, Path) else value)
        if not name:
            raise ValueError("empty")
        return Path(name)

    return Kind("path", "a path", parse)


def integer(minimum: int, maximum: int, *, automatic: Callable[[], int] | None = None) -> Kind[int]:
    """Make the kind of a whole number.

    Args:
        minimum: the least allowed.
        maximum: the most allowed.
        automatic: gives the number meant by the word ``auto``; without it the word is refused.
    """

    def parse(value: object) -> int:
        if automatic is not None and value == "auto":
            return max(minimum, min(automatic(), maximum))
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("not an integer")
        return _in_range(value, minimum, maximum)

    expected = f"an integer from {minimum} to {maximum}"
    name = f"integer {minimum}..{maximum}"
    if automatic is not None:
        expected, name = f"{expected}, or auto", f"{name}|auto"
    return Kind(name, expected, parse, is_quoted=False)


def flag() -> Kind[bool]:
    """Make the kind of a choice between true and false (also yes and no, on and off, 1 and 0)."""

    def parse(value: object) -> bool:
        word = str(value).lower() if isinstance(value, int | str) else ""
        if word not in _FLAG_WORDS:
            raise ValueError("not a flag")
        return _FLAG_WORDS[word]

    return Kind("flag", "true or false", parse, lambda value: str(value).lower(), is_quoted=False)


def choice(*values: str) -> Kind[str]:
    """Make the kind of one of a few words.

    Args:
        values: the words.
    """

    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in values:
            raise ValueError("not one of the choices")
        return value

    return Kind("|".join(values), "one of " + ", ".join(values), parse)


def names() -> Kind[tuple[str, ...]]:
    """Make the kind of several names, separated by commas or in a list."""

    def parse(value: object) -> tuple[str, ...]:
        parts = value if isinstance(value, list | tuple) else [value]
        found = [name.strip() for part in parts for name in _parse_text(part).split(",")]
        return tuple(name for name in found if name)

    return Kind("names", "names separated by commas, or a list of names", parse, ",".join)


def duration(*, minimum_seconds: float = 0) -> Kind[float]:
    """Make the kind of a time in seconds, kept to the microsecond; the longest is a year.

    Args:
        minimum_seconds: the least allowed.
    """

    def parse(value: object) -> float:
        seconds = _in_range(_quantity(value, _SECONDS), minimum_seconds, _DURATION_SECONDS_MAX)
        return round(float(seconds), 6)

    shortest, longest = _show_duration(minimum_seconds), _show_duration(_DURATION_SECONDS_MAX)
    expected = f"a duration from {shortest} to {longest}, such as 500ms, 30s or 5m"
    return Kind("duration", expected, parse, _show_duration)


def size(minimum_bytes: int, maximum_bytes: int) -> Kind[int]:
    """Make the kind of a number of bytes.

    Args:
        minimum_bytes: the least allowed.
        maximum_bytes: the most allowed.
    """

    def parse(value: object) -> int:
        number = _in_range(_quantity(value, _BYTES), minimum_bytes, maximum_bytes)
        if number != int(number):
            raise ValueError("part of a byte")
        return int(number)

    smallest, largest = _show_size(minimum_bytes), _show_size(maximum_bytes)
    expected = f"a size from {smallest} to {largest}, such as 512KiB or 2MiB"
    return Kind("size", expected, parse, _show_size)


def _parse_text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not text")
    value.encode()  # refuses the lone surrogates that stand for undecodable bytes
    return value


def _in_range(number: _Number, minimum: float, maximum: float) -> _Number:
    if not minimum <= number <= maximum:  # also refuses nan
        raise ValueError("out of range")
    return number


def _quantity(value: object, factors: Mapping[str, float]) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2] not in factors:
        raise ValueError("not a number and a unit")
    return float(match[1]) * factors[match[2]]


def _show_duration(seconds: float) -> str:
    microseconds = round(seconds * 1_000_000)
    for unit, length in (("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000)):
        if microseconds % length == 0 and (microseconds or unit == "s"):
            return f"{microseconds // length}{unit}"
    return f"{microseconds / 1000:.3f}ms"


def _show_size(number: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        if number and number % _BYTES[unit] == 0:
            return f"{number // _BYTES[unit]}{unit}"
    return f"{number}B"


def _shown(value: Any) -> str:
    try:
        shown = repr(value)
    except (ValueError, RecursionError):  # an integer of over 4300 digits; a list too deep
        return "too large a value"
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "..."
