"""Settings: options declared once, as fields of a frozen dataclass, and loaded from four places.

Nothing here reads the environment or the command line: ``load`` is handed both.
"""

import dataclasses
import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from toto._core.conf_file import read_conf_file
from toto._core.kinds import Kind, Secret, SettingsError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "Loaded",
    "Option",
    "Secret",
    "SettingsError",
    "as_environment",
    "describe",
    "load",
    "option",
    "options_of",
]

S = TypeVar("S", bound="DataclassInstance")
T = TypeVar("T")

_METADATA_KEY = "toto_option"
_DEFAULT = "default"
_ENVIRONMENT_PREFIX = "TOTO_"
_SERVICE_LINK = re.compile(
    r"TOTO_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?"
    r"|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_SERVICE_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://")


@dataclass(frozen=True, slots=True)
class Option:
    """One option, as ``option()`` declared it.

    Args:
        name: its name in Python and in a conf file.
        kind: what its value may be.
        default: its value when nothing sets it.
        help: one sentence or more for ``--help``.
        unit: what a number counts; empty when the kind says it.
        default_help: what the default means, when the value does not say it.
        alias: another name for it in Python, conf files and the environment; empty for none.
    """

    name: str
    kind: Kind[Any]
    default: Any
    help: str
    unit: str
    default_help: str
    alias: str = ""

    @property
    def command_line_name(self) -> str:
        """``max_body_size`` is ``--max-body-size``."""
        return "--" + self.name.replace("_", "-")

    @property
    def environment_name(self) -> str:
        """``max_body_size`` is ``TOTO_MAX_BODY_SIZE``."""
        return _ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def default_text(self) -> str:
        """The default, for people."""
        return self.default_help or self.kind.show(self.default)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """Settings, and where each value came from.

    Args:
        settings: the validated settings.
        sources: option name to ``default``, ``option --port``, ``gw.conf: port`` and so on.
    """

    settings: S
    sources: Mapping[str, str]


def option(
    default: T,
    *,
    kind: Kind[T],
    help: str,
    unit: str = "",
    default_help: str = "",
    alias: str = "",
) -> T:
    """Declare an option: ``port: int = option(8888, kind=kinds.integer(0, 65535), help="...")``.

    Args:
        default: its value when nothing sets it.
        kind: what its value may be.
        help: what it does, for ``--help`` and the options page.
        unit: what a number counts, such as ``processes``; durations and sizes need none.
        default_help: what the default means, such as ``chosen at start``.
        alias: a second name, which another command has for the same thing.

    Returns:
        A dataclass field, typed as the value the settings will hold.
    """
    details = {
        "kind": kind,
        "help": help,
        "unit": unit,
        "default_help": default_help,
        "alias": alias,
    }
    field: T = dataclasses.field(default=default, metadata={_METADATA_KEY: details})
    return field


def options_of(settings_class: "type[DataclassInstance]") -> tuple[Option, ...]:
    """List the options of a settings class, its own before those it inherits."""
    inherited = {
        field.name
        for base in settings_class.__bases__
        if dataclasses.is_dataclass(base)
        for field in dataclasses.fields(base)
    }
    fields = sorted(dataclasses.fields(settings_class), key=lambda field: field.name in inherited)
    return tuple(
        Option(name=field.name, default=field.default, **field.metadata[_METADATA_KEY])
        for field in fields
    )


def load(
    settings_class: type[S],
    *,
    keywords: Mapping[str, object] | None = None,
    conf_path: Path | str | None = None,
    environment: Mapping[str, str] | None = None,
    command_line: Mapping[str, object] | None = None,
    known_elsewhere: Collection[str] = (),
) -> Loaded[S]:
    """Build settings; of the four places the later argument wins, and every value is validated.

    Args:
        settings_class: a dataclass whose fields are all made by ``option()``.
        keywords: option name to value, from Python code.
        conf_path: a conf file.
        environment: environment variables; those that do not begin with ``TOTO_`` are left alone.
        command_line: option name to text, of the options given there.
        known_elsewhere: names of other commands' options, which are left alone in the environment
            and in conf files: the commands may share both.

    Raises:
        SettingsError: an unknown option, a value of the wrong kind, or an unreadable conf file.
    """
    options = {entry.name: entry for entry in options_of(settings_class)}
    values: dict[str, object] = {}
    sources = dict.fromkeys(options, _DEFAULT)
    names = {entry.alias: entry.name for entry in options.values() if entry.alias}
    given = [
        *_real_names_last(names, _from_keywords(keywords or {})),
        *_real_names_last(names, _from_conf_file(conf_path, {*known_elsewhere} - {*names})),
        *_real_names_last(names, _from_environment(options, environment or {}, known_elsewhere)),
        *_from_command_line(options, command_line or {}),
    ]
    for name, value, source in given:
        if name not in options:
            raise SettingsError(f"{source} is not an option{_suggestion(name, options)}")
        values[name] = options[name].kind.read(value, source)
        sources[name] = source
    return Loaded(settings_class(**values), MappingProxyType(sources))


def describe(loaded: Loaded[Any]) -> list[tuple[str, str, str]]:
    """List name, value as a conf file holds it (secrets masked), and source of every option."""
    rows = []
    for entry in options_of(type(loaded.settings)):
        source = loaded.sources[entry.name]
        if source == _DEFAULT and entry.default_help:
            source = f"{source}: {entry.default_help}"
        value = getattr(loaded.settings, entry.name)
        rows.append((entry.name, entry.kind.literal(value), source))
    return rows


def as_environment(settings: Any, settings_class: "type[DataclassInstance]") -> dict[str, str]:
    """Return the environment variables that give a child process the same options.

    Args:
        settings: holds the values; secrets are revealed.
        settings_class: whose options are wanted; a base of the settings' own class.
    """
    variables = {}
    for entry in options_of(settings_class):
        value = getattr(settings, entry.name)
        text = value.reveal() if isinstance(value, Secret) else entry.kind.show(value)
        variables[entry.environment_name] = text
    return variables


_Given = Iterator[tuple[str, object, str]]


def _from_keywords(keywords: Mapping[str, object]) -> _Given:
    for name, value in keywords.items():
        yield name, value, f"keyword argument {name}"


def _real_names_last(names: Mapping[str, str], given: _Given) -> _Given:
    """Replace aliases; where one place has both names, the real one counts."""
    for name, value, source in sorted(given, key=lambda each: each[0] not in names):
        yield names.get(name, name), value, source


def _from_conf_file(conf_path: Path | str | None, known_elsewhere: Collection[str]) -> _Given:
    if conf_path is not None:
        for name, value in read_conf_file(Path(conf_path)).items():
            if name in known_elsewhere:
                continue
            yield name, value, f"{conf_path}: {name if name.isidentifier() else repr(name)}"


def _from_environment(
    options: Mapping[str, Option], environment: Mapping[str, str], known_elsewhere: Collection[str]
) -> _Given:
    aliases = {entry.alias for entry in options.values() if entry.alias}
    known = {*options, *aliases, *known_elsewhere}
    for variable, value in environment.items():
        name = variable.removeprefix(_ENVIRONMENT_PREFIX).lower()
        is_ours = variable.startswith(_ENVIRONMENT_PREFIX) and not _is_service_link(variable, value)
        if is_ours and (name not in known or variable != variable.upper()):
            nearest = _nearest(name, known)
            hint = f"; did you mean {_ENVIRONMENT_PREFIX}{nearest.upper()}?" if nearest else ""
            raise SettingsError(f"environment variable {variable} is not an option{hint}")
    for entry in options.values():
        variable = entry.environment_name
        if variable in environment:
            yield entry.name, environment[variable], f"environment variable {variable}"
        other = _ENVIRONMENT_PREFIX + entry.alias.upper()
        if entry.alias and other in environment:
            yield entry.alias, environment[other], f"environment variable {other}"


def _from_command_line(options: Mapping[str, Option], command_line: Mapping[str, object]) -> _Given:
    for name, value in command_line.items():
        yield name, value, f"option {options[name].command_line_name}"


def _is_service_link(variable: str, value: str) -> bool:
    # Kubernetes tells every container of its services: of one named toto-gateway by
    # TOTO_GATEWAY_SERVICE_HOST, TOTO_GATEWAY_PORT=tcp://10.0.0.1:80 and several more.
    if _SERVICE_LINK.fullmatch(variable):
        return True
    return variable.endswith("_PORT") and _SERVICE_ADDRESS.match(value) is not None


def _suggestion(name: str, options: Iterable[str]) -> str:
    nearest = _nearest(name, options)
    return f"; did you mean {nearest}?" if nearest else ""


def _nearest(name: str, names: Iterable[str]) -> str:
    # Sorted: of two that are equally near, always the same is named.
    wanted = name.lower().replace("-", "_")
    return next(iter(difflib.get_close_matches(wanted, sorted(names), n=1, cutoff=0.5)), "")
