"""Commands made from a settings class: options, help, exit codes."""

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import click
import pytest

import toto
from toto._core import kinds
from toto._core.command import build_command, main
from toto._core.settings import Secret, SettingsError, load, option


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Serve samples."""

    port: int = option(8888, kind=kinds.integer(0, 65535), unit="ports", help="Port to serve.")
    max_body: int = option(2**20, kind=kinds.size(1, 2**30), help="Largest body.")
    use_tls: bool = option(False, kind=kinds.flag(), help="Encrypt.")
    peers: tuple[str, ...] = option((), kind=kinds.names(), help="Peers.", default_help="none")
    key: Secret = option(Secret(""), kind=kinds.secret(), help="Key.")


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    exit_code: object
    stdout: str
    stderr: str


def invoke(command: click.Command, arguments: Sequence[str], environment: dict[str, str]) -> Result:
    """Run a command as the program, in an environment of these variables only."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        redirect_stdout(stdout),
        redirect_stderr(stderr),
        patch.dict(os.environ, environment, clear=True),
        pytest.raises(SystemExit) as stop,
    ):
        main(command, arguments)
    return Result(stop.value.code, stdout.getvalue(), stderr.getvalue())


class Program:
    """A command that records the settings it ran with."""

    def __init__(self, *, keywords: dict[str, object] | None = None, conf: str | None = None):
        self.ran: list[Sample] = []
        self.command = build_command(
            "toto-sample", Sample, self._run, check=_check, keywords=keywords, conf_path=conf
        )

    def __call__(self, *arguments: str, **environment: str) -> Result:
        return invoke(self.command, arguments, environment)

    def _run(self, settings: Sample) -> int:
        self.ran.append(settings)
        return 7


def _check(settings: Sample) -> None:
    if settings.use_tls and not settings.key:
        raise SettingsError("use_tls needs a key")


def test_exit_code_is_what_run_returned() -> None:
    """The command runs with the settings and exits with the code of its work."""
    program = Program()

    result = program("--port", "1", "--max-body", "2KiB", "--use-tls", "--key", "k")

    assert result.exit_code == 7
    assert program.ran == [Sample(port=1, max_body=2048, use_tls=True, key=Secret("k"))]


def test_without_options_the_defaults_run() -> None:
    """Options that are not given do not override anything."""
    program = Program()

    program()

    assert program.ran == [Sample()]


def test_precedence(tmp_path: Path) -> None:
    """Keyword argument, conf file, environment and command line win in this order."""
    conf = tmp_path / "gw.conf"
    conf.write_text("port = 2\nuse_tls = True\nkey = 'k'")
    program = Program(keywords={"port": 1, "max_body": 5}, conf=str(conf))

    program()
    program(TOTO_PORT="3", TOTO_USE_TLS="no")
    program("--port", "4", "--use-tls", TOTO_PORT="3", TOTO_USE_TLS="no")

    key = Secret("k")
    assert program.ran == [
        Sample(port=2, max_body=5, use_tls=True, key=key),
        Sample(port=3, max_body=5, use_tls=False, key=key),
        Sample(port=4, max_body=5, use_tls=True, key=key),
    ]


def test_conf_option_replaces_the_conf_file_of_the_code(tmp_path: Path) -> None:
    """The file of --conf is read instead of the one named in code."""
    other = tmp_path / "other.conf"
    other.write_text("port = 5")
    program = Program(conf=str(tmp_path / "missing.conf"))

    result = program("--conf", str(other))

    assert (result.exit_code, program.ran) == (7, [Sample(port=5)])


def test_negative_flag() -> None:
    """A flag can be switched off on the command line."""
    program = Program(keywords={"use_tls": True})

    program("--no-use-tls")

    assert program.ran == [Sample(use_tls=False)]


def test_names_add_up() -> None:
    """An option of several names may be repeated, and each may hold several."""
    program = Program()

    program("--peers", "a,b", "--peers", "c")

    assert program.ran == [Sample(peers=("a", "b", "c"))]


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--port", "x"], {}, "option --port is 'x', but must be an integer from 0 to 65535"),
        ([], {"TOTO_PORT": "x"}, "environment variable TOTO_PORT is 'x', but must be an integer "),
        ([], {"TOTO_USE_TLS": "x"}, "environment variable TOTO_USE_TLS is 'x', but must be true "),
        (["--use-tls"], {}, "use_tls needs a key"),
        (["--check-config", "--use-tls"], {}, "use_tls needs a key"),
        (["--conf", "/nowhere"], {}, "cannot read the conf file /nowhere: No such file"),
    ],
)
def test_settings_error_exits_2(
    arguments: list[str], environment: dict[str, str], said: str
) -> None:
    """A settings error is one sentence on stderr, and nothing runs."""
    program = Program()

    result = program(*arguments, **environment)

    assert (result.exit_code, program.ran, result.stdout) == (2, [], "")
    assert result.stderr.startswith(f"toto-sample: error: {said}")
    assert result.stderr.count("\n") == 1


def test_settings_error_while_running_exits_2() -> None:
    """A settings error found after the checks is reported the same way."""

    def run(settings: Sample) -> int:
        raise SettingsError("no such package")

    result = invoke(build_command("toto-sample", Sample, run), [], {})

    assert (result.exit_code, result.stderr) == (2, "toto-sample: error: no such package\n")


def test_unknown_option_suggests_the_nearest() -> None:
    """An unknown option exits 2 and names a near one."""
    result = Program()("--prot", "1")

    assert result.exit_code == 2
    assert "No such option" in result.stderr
    assert "--port" in result.stderr


@pytest.mark.parametrize("arguments", [["--port"], ["extra"], ["--por", "1"], ["--use-tls=1"]])
def test_misuse_exits_2(arguments: list[str]) -> None:
    """A missing value, a stray word, an abbreviation and a flag with a value are refused."""
    program = Program()

    assert (program(*arguments).exit_code, program.ran) == (2, [])


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("TOTO_PROT", "; did you mean TOTO_PORT?"),
        ("TOTO_port", "; did you mean TOTO_PORT?"),
        ("TOTO_MAX_BODY_SIZE", "; did you mean TOTO_MAX_BODY?"),
        ("TOTO_METHOD", "; did you mean TOTO_METHODS?"),
        ("TOTO_ZZZZZZ", ""),
        ("TOTO_", ""),
    ],
)
def test_unknown_environment_variable_is_refused(variable: str, hint: str) -> None:
    """A mistyped variable is an error that names a near one and repeats no value."""
    with pytest.raises(SettingsError) as refusal:
        load(Sample, environment={variable: "hunter2"}, known_elsewhere=["methods"])

    assert str(refusal.value) == f"environment variable {variable} is not an option{hint}"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TOTO_METHODS", "myapp.methods"),
        ("PORT", "x"),
        ("XTOTO_PORT", "x"),
        ("TOTO_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("TOTO_GATEWAY_SERVICE_PORT", "80"),
        ("TOTO_GATEWAY_SERVICE_PORT_HTTP", "80"),
        ("TOTO_GATEWAY_PORT", "tcp://10.0.0.1:80"),
        ("TOTO_GATEWAY_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("TOTO_GATEWAY_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("TOTO_SERVICE_HOST", "10.0.0.1"),
    ],
)
def test_variables_of_others_are_left_alone(variable: str, value: str) -> None:
    """Options of another command and what Kubernetes says of services do not disturb."""
    loaded = load(Sample, environment={variable: value}, known_elsewhere=["methods"])

    assert loaded.settings == Sample()


def test_a_port_of_a_service_is_told_from_a_mistake() -> None:
    """What has the name of a service's address, but a number for a value, was mistyped."""
    with pytest.raises(SettingsError, match="variable TOTO_GATEWAY_PORT is not an option"):
        load(Sample, environment={"TOTO_GATEWAY_PORT": "80"})


def test_unknown_variable_exits_2() -> None:
    """A mistyped variable of the environment is one sentence, and nothing runs."""
    program = Program()

    result = program(TOTO_PROT="1")

    assert (result.exit_code, program.ran) == (2, [])
    assert result.stderr == (
        "toto-sample: error: environment variable TOTO_PROT is not an option; "
        "did you mean TOTO_PORT?\n"
    )


def test_variables_of_the_supervisor_and_of_other_commands_are_left_alone() -> None:
    """What a supervisor tells its child is no option, nor is another command's option a mistake."""
    ran: list[Sample] = []

    def run(settings: Sample) -> int:
        ran.append(settings)
        return 0

    command = build_command("toto-sample", Sample, run, known_elsewhere=["methods"])
    environment = {"TOTO_READY_FD": "3", "TOTO_PARENT_FD": "4", "TOTO_METHODS": "m"}

    assert invoke(command, [], environment).exit_code == 0
    assert ran == [Sample()]


def test_check_config() -> None:
    """--check-config says that the options are valid and runs nothing."""
    program = Program()

    result = program("--check-config")

    assert (result.exit_code, result.stdout) == (0, "configuration is valid\n")
    assert program.ran == []


def test_show_config() -> None:
    """--show-config lists every option with its source, masks secrets and runs nothing."""
    program = Program(keywords={"max_body": 2048})

    result = program("--show-config", "--key", "hunter2", "--no-use-tls", TOTO_PORT="3")

    assert (result.exit_code, program.ran) == (0, [])
    assert result.stdout.splitlines() == [
        "port = 3  # environment variable TOTO_PORT",
        'max_body = "2KiB"  # keyword argument max_body',
        "use_tls = false  # option --use-tls",
        'peers = ""  # default: none',
        'key = "********"  # option --key',
    ]


def test_version() -> None:
    """--version names the command and the product's version."""
    result = Program()("--version")

    assert (result.exit_code, result.stdout) == (0, f"toto-sample {toto.__version__}\n")


def test_help() -> None:
    """--help shows every option with its type, unit, variable and default."""
    result = Program()("--help", TOTO_PORT="x")
    words = " ".join(result.stdout.split())

    assert result.exit_code == 0
    assert "Serve samples." in words
    assert "--port <integer 0..65535> Port to serve. [ports; TOTO_PORT; default: 8888]" in words
    assert "--max-body <size> Largest body. [TOTO_MAX_BODY; default: 1MiB]" in words
    assert "--use-tls / --no-use-tls Encrypt. [TOTO_USE_TLS; default: false]" in words
    assert "--peers <names> Peers. [TOTO_PEERS; default: none]" in words
    assert "--key <secret> Key. [TOTO_KEY; default: empty]" in words
    for name in ("--conf <file>", "--check-config", "--show-config", "--version", "--help"):
        assert name in words
