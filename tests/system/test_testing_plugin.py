"""The pytest plugin and ``running_gateway``, as a user's own tests have them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto.exceptions import TotoException
from toto.testing import RunningGateway, running_gateway
from toto_testkit.ports import is_listening
from toto_testkit.process_tree import child_pids
from toto_testkit.written_app import WrittenApp

pytestmark = pytest.mark.system

METHODS = {
    "fail": "def invoke(handler, parameters):\n    raise LookupError('there is no such hat')\n",
    "refuse": (
        "from toto.exceptions import TotoException\n\n\n"
        "def invoke(handler, parameters):\n    raise TotoException(2001, ['not today'])\n"
    ),
    "items": "def invoke(handler, parameters):\n    yield from [1, 2]\n",
    "raw": ("def invoke(handler, parameters):\n    handler.respond_raw(b'hat', 'text/plain')\n"),
    "whose": (
        "from toto.invocation import authenticated\n\n\n"
        "@authenticated\n"
        "def invoke(handler, parameters):\n    return handler.session.user_id\n"
    ),
    "account.__init__": ("import toto.methods.account.create as create\n"),
}


def write_methods(app: WrittenApp) -> None:
    """Write the methods of these tests beside ``echo``."""
    for name, text in METHODS.items():
        app.write(f"methods/{name.replace('.', '/')}.py", text)


def run_pytest(app: WrittenApp, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on the application's tests, with this plugin and no other."""
    return app.run(
        *(sys.executable, "-m", "pytest", "-q", "-p", "toto.testing_plugin", *arguments),
        environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that all tests of this module call."""
    app = WrittenApp(tmp_path_factory.mktemp("app"))
    write_methods(app)
    options: dict[str, Any] = {"error_status": "http", "root": "/api", "batch_max": 3}
    with running_gateway("methods", app_dir=app.directory, **options) as running:
        yield running


def test_calls(gateway: RunningGateway) -> None:
    """Results, items of generators and raw bytes."""
    assert gateway.call("echo", {"a": 1}) == {"a": 1}
    assert gateway.call("echo") == {}
    assert gateway.call("items") == [1, 2]
    assert gateway.call("raw") == b"hat"


def test_errors_are_raised(gateway: RunningGateway) -> None:
    """With their code and value, whatever the status is."""
    with pytest.raises(TotoException) as refused:
        gateway.call("refuse")
    with pytest.raises(TotoException) as failed:
        gateway.call("fail")

    assert (refused.value.code, refused.value.value) == (2001, ["not today"])
    assert failed.value.code == 1000
    assert "LookupError: there is no such hat" in gateway.output()


def test_batches(gateway: RunningGateway) -> None:
    """Members are pairs or dictionaries; a batch that is refused is an exception."""
    members = {"a": ("echo", {"b": 1}), "c": {"method": "refuse", "parameters": {}}}

    assert gateway.batch(members) == {
        "a": {"result": {"b": 1}},
        "c": {"error": {"code": 2001, "value": ["not today"]}},
    }
    with pytest.raises(TotoException) as raised:
        gateway.batch({str(number): ("echo", {}) for number in range(4)})
    assert raised.value.code == 1100


def test_sessions(gateway: RunningGateway) -> None:
    """An account can be made, and its session goes along."""
    made = gateway.call("account.create", {"user_id": "ada", "password": "pw"})

    assert gateway.call("whose", session_id=made["session_id"]) == "ada"
    batch = gateway.batch({"a": ("whose", {})}, session_id=made["session_id"])
    assert batch == {"a": {"result": "ada"}}


def test_any_request(gateway: RunningGateway) -> None:
    """Status, headers and body as they are."""
    response = gateway.request("GET", "/api/echo?a=1", headers={"x-request-id": "r-1"})

    assert (response.status, response.headers["X-Request-ID"]) == (200, "r-1")
    assert response.json() == {"result": {"a": "1"}}
    assert gateway.request("POST", "/api/echo", b"{").status == 400


def test_the_address(gateway: RunningGateway) -> None:
    """Only this host can reach it."""
    assert gateway.url == f"http://127.0.0.1:{gateway.port}"
    assert repr(gateway) == f"RunningGateway(url='{gateway.url}')"


@pytest.mark.usefixtures("no_leaks")
def test_a_gateway_is_gone_after_its_block(app: WrittenApp) -> None:
    """So are its files, and nothing was written where the test runs."""
    before = sorted(os.listdir()), child_pids(os.getpid())

    with running_gateway("methods", app_dir=app.directory, log_level="error") as running:
        port = running.port
        assert running.call("echo", 5) == 5
        assert child_pids(os.getpid()) > before[1]

    assert not is_listening(port)
    assert (sorted(os.listdir()), child_pids(os.getpid())) == before


def test_the_environment_and_a_conf_file(
    app: WrittenApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Variables of the test do not count, a conf file does, and options do more than that."""
    monkeypatch.setenv("TOTO_ROOT", "/elsewhere")
    conf = app.write("gw.conf", 'root = "/conf"\ndatabase = "none"\nport = 1\n')

    with running_gateway("methods", app_dir=app.directory, conf=conf) as running:
        assert running.request("POST", "/conf/echo", {"parameters": 5}).json() == {"result": 5}


def test_an_exception_carries_the_output(app: WrittenApp) -> None:
    """Who sees it need not look elsewhere."""
    app.write("methods/fail.py", METHODS["fail"])

    with (
        pytest.raises(TotoException) as raised,
        running_gateway("methods", app_dir=app.directory) as running,
    ):
        running.call("fail")

    assert "LookupError: there is no such hat" in "".join(raised.value.__notes__)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("import no_such_module\n", {}, "No module named 'no_such_module'"),
        ("", {"prot": 1}, "environment variable TOTO_PROT is not an option"),
    ],
)
def test_a_start_that_fails_says_why(
    app: WrittenApp, method: str, options: dict[str, Any], words: str
) -> None:
    """The message has the output."""
    app.write("methods/place.py", method)

    with (
        pytest.raises(RuntimeError, match="toto-gateway ended with code") as raised,
        running_gateway("methods", app_dir=app.directory, **options),
    ):
        raise AssertionError("it must not start")

    assert words in str(raised.value)


TESTS = """
import pytest


def test_call(toto_gateway):
    gateway = toto_gateway("methods", app_dir={folder!r}, workers=2)
    assert gateway.call("echo", {{"a": 1}}) == {{"a": 1}}


@pytest.fixture(scope="module")
def shared(toto_module_gateway):
    return toto_module_gateway("methods", app_dir={folder!r})


@pytest.mark.parametrize("number", [1, 2])
def test_shared(shared, number):
    assert shared.call("echo", number) == number
"""


def test_the_fixtures_in_a_fresh_pytest(app: WrittenApp) -> None:
    """A gateway of one test, and one that a module shares; nothing outlives the run."""
    app.write("test_shop.py", TESTS.format(folder=str(app.directory)))

    ended = run_pytest(app)

    assert "3 passed" in ended.stdout, ended.stdout + ended.stderr


def test_a_failed_test_shows_what_the_worker_wrote(app: WrittenApp) -> None:
    """The client is told an id only; the traceback is in the report."""
    app.write("methods/fail.py", METHODS["fail"])
    app.write(
        "test_shop.py",
        "def test_fail(toto_gateway):\n"
        f"    toto_gateway('methods', app_dir={str(app.directory)!r}).call('fail')\n",
    )

    ended = run_pytest(app)

    assert ended.returncode == 1
    assert "TotoException: Internal server error" in ended.stdout
    assert "output of toto-gateway at http://127.0.0.1:" in ended.stdout
    assert "LookupError: there is no such hat" in ended.stdout


def test_a_start_that_fails_is_shown(app: WrittenApp) -> None:
    """A method that cannot be imported fails the test with the reason."""
    app.write("methods/place.py", "import no_such_module\n")
    app.write(
        "test_shop.py",
        "def test_start(toto_gateway):\n"
        f"    toto_gateway('methods', app_dir={str(app.directory)!r})\n",
    )

    ended = run_pytest(app)

    assert ended.returncode == 1
    assert "No module named 'no_such_module'" in ended.stdout


def test_the_plugin_imports_nothing_that_it_does_not_use(app: WrittenApp) -> None:
    """A run without its fixtures pays for no part of the product."""
    app.write(
        "test_light.py",
        "import sys\n\n\n"
        "def test_light():\n"
        "    heavy = {'zmq', 'tornado', 'toto.testing', 'toto_worker', 'toto_gateway'}\n"
        "    assert not heavy & set(sys.modules)\n",
    )

    ended = run_pytest(app)

    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr
