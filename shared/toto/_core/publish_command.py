"""The command ``toto-publish``: events from a shell."""

import itertools
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import click

import toto
from toto._core import kinds
from toto._core.curve_keys import CurveKeys
from toto._core.event_publisher import TIMEOUT_SECONDS, EventPublisher, PublishError
from toto._core.formats.errors import MalformedBody
from toto._core.formats.registry import FormatRegistry
from toto._core.settings import SettingsError

__all__ = ["main", "run"]

NAME = "toto-publish"
SECRET_KEY_VARIABLE = "TOTO_PUBLISH_SECRET_KEY"  # noqa: S105  # its name, not the key
EXIT_USAGE, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 2, 5, 130
LINE_BYTES_MAX = 4 * 1024 * 1024
"""512 KiB of arguments are less in JSON, even when each character is written as \\uXXXX."""
SECRET_FILE_BYTES_MAX = 4096

_HELP = """Send an event to a toto-gateway cluster, from outside of it.

ADDRESS is where the gateway listens for workers (its option worker_address): ipc://PATH or
tcp://HOST:PORT. Several are separated by commas; the first that answers is used.

NAME is the event's name. ARGS_JSON are its arguments, null if there are none; put -- before those
that begin with a minus. With --stdin the command ends at the first line that cannot be sent.

Exit codes: 0 a gateway has got all events, 2 wrong usage, 5 no gateway has confirmed one.
"""


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for, as click found it."""

    address: str
    name: str
    args_json: str | None
    is_for_one: bool
    reads_input: bool
    timeout: str
    server_key: str | None
    public_key: str | None
    secret_key_file: str | None
    plaintext: bool


@click.command(
    NAME,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.argument("address")
@click.argument("name")
@click.argument("args_json", required=False)
@click.option(
    "--one",
    "is_for_one",
    is_flag=True,
    help="For one of the workers that wait for it, in turn; otherwise all get it.",
)
@click.option(
    "--stdin",
    "reads_input",
    is_flag=True,
    help="Send an event for every line of the standard input, which has its arguments in JSON.",
)
@click.option(
    "--timeout",
    metavar="<duration>",
    default=f"{TIMEOUT_SECONDS:g}s",
    help=f"How long each event may take. [default: {TIMEOUT_SECONDS:g}s]",
)
@click.option(
    "--server-key",
    metavar="<key>",
    help="The gateway's public CURVE key: encrypt the traffic.",
)
@click.option(
    "--public-key",
    metavar="<key>",
    help="This program's public CURVE key. [default: it follows from the secret one]",
)
@click.option(
    "--secret-key-file",
    metavar="<path>",
    help=f"File with this program's secret CURVE key. [default: {SECRET_KEY_VARIABLE}]",
)
@click.option(
    "--plaintext",
    is_flag=True,
    help="Allow unencrypted traffic to other hosts: only inside a private network.",
)
@click.version_option(
    toto.__version__, message="%(prog)s %(version)s", help="Print the version and exit."
)
def _command(**options: Any) -> None:
    request = Request(**options)
    with _publisher(request, os.environ) as publisher:
        for place, args in _arguments(request, sys.stdin.buffer):
            try:
                publisher.send(request.name, args, broadcast=not request.is_for_one)
            except PublishError as error:
                reason, is_open = f"{place}{error}", error.may_be_delivered
                raise PublishError(reason, may_be_delivered=is_open) from None
            except (TypeError, ValueError) as error:
                raise SettingsError(f"{place}{error}") from None


def run(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code.

    Args:
        arguments: the words after the program's name.
    """
    try:
        _command.main(list(arguments), prog_name=NAME, standalone_mode=False)
    except click.Abort:
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        return _complain(error.format_message(), EXIT_USAGE)
    except SettingsError as error:
        return _complain(str(error), EXIT_USAGE)
    except PublishError as error:
        return _complain(str(error), EXIT_UNREACHABLE)
    return 0


def main() -> NoReturn:
    """Run the command with the words of the command line."""
    sys.exit(run(sys.argv[1:]))


def _complain(reason: str, code: int) -> int:
    click.echo(f"{NAME}: error: {' '.join(reason.splitlines())}", err=True)
    return code


def _publisher(request: Request, environment: Mapping[str, str]) -> EventPublisher:
    timeout = kinds.duration(minimum_seconds=0.001).read(request.timeout, "option --timeout")
    try:
        return EventPublisher(
            request.address,
            timeout_seconds=timeout,
            curve=_curve_keys(request, environment),
            plaintext=request.plaintext,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _curve_keys(request: Request, environment: Mapping[str, str]) -> CurveKeys | None:
    if request.server_key is None:
        if request.public_key is not None or request.secret_key_file is not None:
            raise SettingsError("the keys of this program need --server-key, too")
        return None
    if request.secret_key_file is not None:
        secret_key = _text_of(Path(request.secret_key_file))
    else:
        secret_key = environment.get(SECRET_KEY_VARIABLE, "")
    if not secret_key:
        raise SettingsError(f"--server-key needs --secret-key-file or {SECRET_KEY_VARIABLE}, too")
    if request.public_key is None:
        return CurveKeys.of_secret(request.server_key, secret_key)
    return CurveKeys(request.server_key, request.public_key, secret_key)


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(SECRET_FILE_BYTES_MAX).decode("ascii", "replace").strip()
    except OSError as error:
        raise SettingsError(f"cannot read {str(path)!r}: {error.strerror}") from None


def _arguments(request: Request, stream: BinaryIO) -> Iterator[tuple[str, Any]]:
    """Yield the arguments of every event, and where they are from for an error message."""
    loads = FormatRegistry(msgpack_enabled=False, bson_enabled=False).json.loads
    for place, text in _texts(request, stream):
        try:
            yield place, loads(text)
        except MalformedBody as error:
            reason = f"{place or 'ARGS_JSON: '}{error}"
            raise SettingsError(reason.replace("the body", "the text")) from None


def _texts(request: Request, stream: BinaryIO) -> Iterator[tuple[str, bytes]]:
    if not request.reads_input:
        text = "null" if request.args_json is None else request.args_json
        yield "", os.fsencode(text)
        return
    if request.args_json is not None:
        raise SettingsError("ARGS_JSON and --stdin cannot be used together")
    for number in itertools.count(1):
        line = stream.readline(LINE_BYTES_MAX + 1)
        if not line:
            return
        if len(line) > LINE_BYTES_MAX:
            raise SettingsError(f"line {number} of the input: over {LINE_BYTES_MAX} bytes long")
        if line.strip():
            yield f"line {number} of the input: ", line


if __name__ == "__main__":
    main()
