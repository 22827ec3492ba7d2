"""Commands made from settings classes. The only place that reads the environment."""

import inspect
import os
from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from click.core import ParameterSource

import toto
from toto._core.child import PARENT_FD_VARIABLE, READY_FD_VARIABLE
from toto._core.settings import Loaded, Option, SettingsError, describe, load, options_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["build_command", "main"]

S = TypeVar("S", bound="DataclassInstance")

_EXIT_USAGE = 2


def build_command(
    name: str,
    settings_class: type[S],
    run: Callable[[S], int],
    *,
    check: Callable[[S], None] | None = None,
    keywords: Mapping[str, object] | None = None,
    conf_path: Path | str | None = None,
    known_elsewhere: Collection[str] = (),
) -> click.Command:
    """Make a command that takes every option of a settings class.

    Args:
        name: the command's name; it begins every error message.
        settings_class: declares the options; its docstring introduces ``--help``.
        run: does the work; returns the exit code.
        check: refuses settings that are wrong together, by raising SettingsError.
        keywords: option values from code, stronger than the defaults only.
        conf_path: the conf file read when ``--conf`` is not given.
        known_elsewhere: names of other commands' options, which may be set here too.
    """

    @click.pass_context
    def execute(
        context: click.Context,
        /,
        conf: str | None,
        check_config: bool,
        show_config: bool,
        **values: object,
    ) -> None:
        try:
            loaded = load(
                settings_class,
                keywords=keywords,
                conf_path=conf_path if conf is None else conf,
                environment=_without_ties(os.environ),
                command_line=_given(context, values),
                known_elsewhere=known_elsewhere,
            )
            _forget_secrets(settings_class, os.environ)
            if show_config:
                click.echo(_listing(loaded))
            if check is not None and (check_config or not show_config):
                check(loaded.settings)
            if check_config:
                click.echo("configuration is valid")
            code = 0 if show_config or check_config else run(loaded.settings)
        except SettingsError as error:
            click.echo(f"{name}: error: {error}", err=True)
            code = _EXIT_USAGE
        context.exit(code)

    return click.Command(
        name,
        callback=execute,
        params=[*_common_parameters(name), *map(_parameter, options_of(settings_class))],
        help=inspect.getdoc(settings_class),
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


def main(command: click.Command, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command as the program: ends in SystemExit with its exit code.

    Args:
        command: what ``build_command`` made.
        arguments: the words after the program's name; the process's own by default.
    """
    command.main(args=arguments, prog_name=command.name)


def _without_ties(environment: Mapping[str, str]) -> dict[str, str]:
    # What a supervisor tells its child is no option.
    ties = (READY_FD_VARIABLE, PARENT_FD_VARIABLE)
    return {name: value for name, value in environment.items() if name not in ties}


def _forget_secrets(
    settings_class: "type[DataclassInstance]", environment: MutableMapping[str, str]
) -> None:
    # Programs that methods start would inherit them.
    for entry in options_of(settings_class):
        if entry.kind.is_secret:
            environment.pop(entry.environment_name, None)


def _given(context: click.Context, values: Mapping[str, object]) -> dict[str, object]:
    # Without click's own defaults and environment variables: `load` decides on those.
    return {
        name: value
        for name, value in values.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }


def _common_parameters(name: str) -> list[click.Parameter]:
    def show_version(context: click.Context, _: click.Parameter, is_wanted: bool) -> None:
        if is_wanted:
            click.echo(f"{name} {toto.__version__}")
            context.exit()

    return [
        click.Option(
            ["--conf"],
            metavar="<file>",
            help="Read options from this file: TOML, or `name = literal` lines.",
        ),
        click.Option(
            ["--check-config"],
            is_flag=True,
            help="Check the options and exit.",
        ),
        click.Option(
            ["--show-config"],
            is_flag=True,
            help="Print every option with its value and where it came from, and exit.",
        ),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=show_version,
            help="Print the version and exit.",
        ),
    ]


def _parameter(option: Option) -> click.Option:
    facts = [option.environment_name, f"default: {option.default_text or 'empty'}"]
    if option.unit:
        facts.insert(0, option.unit)
    help_text = f"{option.help} [{'; '.join(facts)}]"
    name = option.command_line_name
    if isinstance(option.default, bool):
        negative = name.replace("--", "--no-", 1)
        return click.Option([f"{name}/{negative}"], default=None, help=help_text)
    is_several = isinstance(option.default, tuple)
    return click.Option(
        [name], metavar=f"<{option.kind.name}>", multiple=is_several, help=help_text
    )


def _listing(loaded: Loaded[Any]) -> str:
    return "\n".join(f"{name} = {value}  # {source}" for name, value, source in describe(loaded))
