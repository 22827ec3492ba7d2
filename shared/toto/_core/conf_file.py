"""Conf files: TOML, or the flat files of Toto, ``name = literal`` in Python's syntax.

A Toto conf is parsed and its literals evaluated; nothing in it is ever executed.
"""

import ast
import re
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path

from toto._core.kinds import SettingsError

__all__ = ["read_conf_file"]

_BYTES_MAX = 2**20
_TOML_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class _Refusal(Exception):
    """Text that is not of a syntax: the line it was understood up to, and what is wrong there.

    Args:
        line: the line number, from 1.
        problem: what is wrong there.
        is_foreign: the text is not of this syntax at all, so the problem tells its writer little.
    """

    def __init__(self, line: int, problem: str, *, is_foreign: bool) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem
        self.is_foreign = is_foreign


def read_conf_file(path: Path) -> dict[str, object]:
    """Read the options of a conf file, not yet validated.

    Args:
        path: a TOML file if its name ends in ``.toml``, else TOML or a Toto conf.

    Raises:
        SettingsError: it cannot be read, is over 1 MiB, or is of neither syntax.
    """
    text = _read_text(path)
    toml = _attempt(_parse_toml, text)
    python = toml if path.suffix == ".toml" else _attempt(_parse_python, text)
    if isinstance(toml, _Refusal):
        if isinstance(python, _Refusal):
            raise SettingsError(f"{path} line {_problem(toml, python)}") from python
        return python
    if isinstance(python, dict) and python != toml:
        name = next(name for name in python if python[name] != toml.get(name))
        raise SettingsError(
            f"{path}: {name} has a backslash that TOML and Python read differently: "
            "write it between double quotes"
        )
    return toml


def _problem(toml: _Refusal, python: _Refusal) -> str:
    # The writer meant the syntax that understood more of the file.
    if toml.line > python.line or toml is python:
        return f"{toml.line}: {toml.problem}"
    if toml.line == python.line and python.is_foreign:
        return f"{python.line}: neither TOML nor `name = literal`"
    return f"{python.line}: {python.problem}"


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise SettingsError(f"cannot read the conf file {path}: {reason}") from error
    if len(content) > _BYTES_MAX:
        raise SettingsError(f"the conf file {path} is over 1 MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path} line {line}: not text in UTF-8") from error


def _attempt(parse: Callable[[str], dict[str, object]], text: str) -> dict[str, object] | _Refusal:
    try:
        return parse(text)
    except _Refusal as refusal:
        return refusal
    except (RecursionError, MemoryError):
        return _Refusal(1, "nested too deeply", is_foreign=False)


def _parse_toml(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except ValueError as error:
        message = str(error)
        match = _TOML_LINE.search(message)
        line = int(match[1]) if match and match[1] else text.count("\n") + 1
        problem = _TOML_LINE.sub("", message)
        raise _Refusal(line, problem, is_foreign=True) from error


def _parse_python(text: str) -> dict[str, object]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" is no one's concern here
            module = ast.parse(text)
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte, before Python 3.11.4
        line = getattr(error, "lineno", None) or 1
        raise _Refusal(line, getattr(error, "msg", str(error)), is_foreign=True) from error
    values: dict[str, object] = {}
    for statement in module.body:
        name, value = _literal(statement)
        if name in values:
            raise _Refusal(statement.lineno, f"{name} is set a second time", is_foreign=False)
        values[name] = value
    return values


def _literal(statement: ast.stmt) -> tuple[str, object]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            try:
                return name, ast.literal_eval(value)
            except (ValueError, TypeError, SyntaxError) as error:
                problem = (
                    f"{name} must be a literal: a number, a quoted text, True, False, "
                    "a list or a dict"
                )
                raise _Refusal(statement.lineno, problem, is_foreign=False) from error
    raise _Refusal(statement.lineno, "only `name = literal` may stand here", is_foreign=False)
