"""Options: where they come from, and what a wrong one answers (contract, section 10)."""

import re
import subprocess
from pathlib import Path

import pytest

import toto
from toto_testkit.formats import toml_text
from toto_testkit.ports import is_listening
from toto_testkit.processes import Command, command_path
from toto_testkit.waiting import poll_until
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


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mistyped_variable_gets_a_suggestion(app: WrittenApp, command: str) -> None:
    """Signatures are not left off by a letter that was forgotten."""
    ended = app.run(
        command_path(command), "--check-config", environment={"TOTO_HMAC_ENABLE": "true"}
    )

    assert_refused(ended, USAGE_ERROR, "TOTO_HMAC_ENABLE is", "TOTO_HMAC_ENABLED?")


def test_both_commands_may_share_an_environment(app: WrittenApp) -> None:
    """A variable that only the other command has is no mistake."""
    environment = {
        "TOTO_PORT": "9003",
        "TOTO_COOKIE_SECRET": "x" * 48,
        "TOTO_CONNECT": "tcp://127.0.0.1:5555",
        "TOTO_COROUTINES": "5",
    }

    for command in COMMANDS:
        ended = app.run(command_path(command), "--check-config", environment=environment)

        assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"database": "redis", "redis_url": "http://localhost"}, "redis_url"),
        ({"session_cache": "redis", "redis_url": "localhost:6379"}, "redis_url"),
        ({"database": "postgres", "session_cache": "redis"}, "redis_url"),
        ({"database": "mongodb", "db_host": "a:b:c"}, "db_host"),
        ({"table_prefix": "p" * 33}, "table_prefix"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_stores_that_cannot_work_are_refused_before_the_start(
    app: WrittenApp, command: str, options: dict[str, str], word: str
) -> None:
    """Checking and starting say the same sentence, once, and leave with code 2."""
    lines = {**options, "connect": "tcp://127.0.0.1:1"} if command == "toto-worker" else options
    app.write("gw.conf", toml_text(lines))

    checked = app.run(command_path(command), "--conf", "gw.conf", "--check-config")
    started = app.run(command_path(command), "--conf", "gw.conf")

    for ended in (checked, started):
        assert_refused(ended, USAGE_ERROR, f"{command}: error: ", word)
        assert ended.stderr.count("\n") == 1
        assert ended.stdout == ""


def test_a_worker_that_checks_no_signatures_is_warned_of(app: WrittenApp, tmp_path: Path) -> None:
    """A gateway that asks for signatures tells of a worker that does not."""
    address = f"ipc://{tmp_path}/workers.sock"
    gateway = [command_path("toto-gateway"), f"--port={app.port}", f"--worker-address={address}"]
    worker = [command_path("toto-worker"), f"--connect={address}"]
    with (
        app.command(*gateway, "--hmac-enabled") as running,
        Command(worker, output_path=tmp_path / "worker.log", directory=app.directory),
    ):
        running.wait_ready(f"http://127.0.0.1:{app.port}/readyz")

        warning = "other options for sessions than this gateway: those made there may not be known "
        warning += "here, and signatures may be checked differently"
        poll_until(lambda: warning in running.output(), 10.0, "the gateway warns")


def test_a_malformed_cookie_domain_is_refused_before_the_start(app: WrittenApp) -> None:
    """Checking and starting say the same."""
    arguments = ["--use-cookies", "--cookie-domain=-foo"]

    for ended in (app.run_gateway(*arguments, "--check-config"), app.run_gateway(*arguments)):
        assert_refused(ended, USAGE_ERROR, "cookie_domain", "-foo")


def test_check_config_does_not_start_anything(app: WrittenApp) -> None:
    """A good configuration is reported by code 0 alone."""
    app.write("gw.conf", f"port = {app.port}\nworkers = 1\n")

    ended = app.run_gateway("--conf", "gw.conf", "--check-config")

    assert ended.returncode == 0, ended.stderr
    assert not is_listening(app.port)
