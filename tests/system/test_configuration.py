"""Options: where they come from, and what a wrong one answers (contract, section 10)."""

import re
import subprocess

import pytest

import toto
from toto_testkit.ports import is_listening
from toto_testkit.processes import command_path
from toto_testkit.written_app import WrittenApp, assert_refused

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

USAGE_ERROR = 2
COMMANDS = ["toto-gateway", "toto-worker"]
SHOW = "from toto.server import TotoServer; TotoServer('gw.conf', port=9001).run()"


def shown_port(ended: subprocess.CompletedProcess[str]) -> int:
    """Return the port that ``--show-config`` printed."""
    assert ended.returncode == 0, ended.stderr
    found = re.search(r"(?m)^\W*port\W+(\d+)\b", ended.stdout)
    assert found, ended.stdout
    return int(found[1])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_version(app: WrittenApp, command: str) -> None:
    """Both commands tell their options and their version."""
    options = app.run(command_path(command), "--help")
    version = app.run(command_path(command), "--version")

    assert options.returncode == 0
    assert "--conf" in options.stdout
    assert version.returncode == 0
    assert toto.__version__ in version.stdout


@pytest.mark.parametrize(
    ("conf", "environment", "arguments", "port"),
    [
        ("", {}, [], 9001),
        ("port = 9002\n", {}, [], 9002),
        ("port = 9002\n", {"TOTO_PORT": "9003"}, [], 9003),
        ("port = 9002\n", {"TOTO_PORT": "9003"}, ["--port", "9004"], 9004),
        ("", {"TOTO_PORT": "9003"}, [], 9003),
        ("", {}, ["--port", "9004"], 9004),
    ],
)
def test_the_later_source_wins(
    app: WrittenApp, conf: str, environment: dict[str, str], arguments: list[str], port: int
) -> None:
    """Keyword argument, conf file, environment, command line: each overrides those before it."""
    app.write("gw.conf", conf)

    ended = app.run_python(SHOW, "--show-config", *arguments, environment=environment)

    assert shown_port(ended) == port


@pytest.mark.parametrize(
    "conf",
    [
        pytest.param("port = 9002\nbson_enabled = true\n", id="toml"),
        pytest.param("port=9002\nbson_enabled=True\n", id="toto"),
        pytest.param(
            "# a comment\nport=9002\nmethod_module='methods'\ndebug=False\n", id="comment"
        ),
    ],
)
def test_a_conf_file_may_be_toml_or_toto_s(app: WrittenApp, conf: str) -> None:
    """A conf file of a Toto application is read as it is."""
    app.write("gw.conf", conf)

    ended = app.run_gateway("--conf", "gw.conf", "--show-config")

    assert shown_port(ended) == 9002


def test_a_conf_file_is_never_executed(app: WrittenApp) -> None:
    """What is no literal is an error, not code."""
    app.write("gw.conf", "port=9002\nmethod_module=open('executed', 'w').name\n")

    ended = app.run_gateway("--conf", "gw.conf", "--check-config")

    assert_refused(ended, USAGE_ERROR, "gw.conf")
    assert not (app.directory / "executed").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("port", '"eighty"'),
        ("port", "70000"),
        ("port", "-1"),
        ("workers", "-1"),
        ("workers", '"many"'),
        ("threads", "0"),
        ("request_timeout", '"soon"'),
        ("max_body_size", "-5"),
        ("batch_max", "1.5"),
        ("debug", '"perhaps"'),
        ("error_status", '"sometimes"'),
        ("method_select", '"neither"'),
    ],
)
def test_a_bad_value_in_the_conf_names_option_and_file(
    app: WrittenApp, option: str, value: str
) -> None:
    """The user reads which option in which file is wrong."""
    app.write("gw.conf", f"{option} = {value}\n")

    ended = app.run_gateway("--conf", "gw.conf", "--check-config")

    assert_refused(ended, USAGE_ERROR, option, "gw.conf")


def test_a_bad_value_in_the_environment_names_its_variable(app: WrittenApp) -> None:
    """The place of the mistake is the variable."""
    ended = app.run_gateway("--check-config", environment={"TOTO_PORT": "eighty"})

    assert_refused(ended, USAGE_ERROR, "TOTO_PORT")


def test_a_bad_value_on_the_command_line_names_its_option(app: WrittenApp) -> None:
    """The place of the mistake is the argument."""
    ended = app.run_gateway("--port", "eighty")

    assert_refused(ended, USAGE_ERROR, "--port", "eighty")


def test_an_unknown_option_in_the_conf_gets_a_suggestion(app: WrittenApp) -> None:
    """The nearest name is what was probably meant."""
    app.write("gw.conf", "wrokers = 2\n")

    ended = app.run_gateway("--conf", "gw.conf", "--check-config")

    assert_refused(ended, USAGE_ERROR, "wrokers", "workers", "gw.conf")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_on_the_command_line_gets_a_suggestion(
    app: WrittenApp, command: str
) -> None:
    """The nearest name is what was probably meant."""
    ended = app.run(command_path(command), "--cnof", "gw.conf")

    assert_refused(ended, USAGE_ERROR, "--cnof", "--conf")


def test_an_unknown_keyword_argument_gets_a_suggestion(app: WrittenApp) -> None:
    """A start-up script is held to the same names."""
    ended = app.run_python("from toto.server import TotoServer; TotoServer(wrokers=2).run()")

    assert ended.returncode != 0
    assert "wrokers" in ended.stderr
    assert "workers" in ended.stderr.replace("wrokers", "")


def test_a_missing_conf_file_is_named(app: WrittenApp) -> None:
    """A conf file that was asked for must be there."""
    ended = app.run_gateway("--conf", "nowhere.conf")

    assert_refused(ended, USAGE_ERROR, "nowhere.conf")


def test_a_conf_file_that_is_neither_format_is_named(app: WrittenApp) -> None:
    """A line nobody can read is an error with its place."""
    app.write("gw.conf", "port = 9002\nthis is no option\n")

    ended = app.run_gateway("--conf", "gw.conf", "--check-config")

    assert_refused(ended, USAGE_ERROR, "gw.conf")


def test_check_config_does_not_start_anything(app: WrittenApp) -> None:
    """A good configuration is reported by code 0 alone."""
    app.write("gw.conf", f"port = {app.port}\nworkers = 1\n")

    ended = app.run_gateway("--conf", "gw.conf", "--check-config")

    assert ended.returncode == 0, ended.stderr
    assert not is_listening(app.port)
