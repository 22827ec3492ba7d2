"""What keeps a command from starting ends it with code 3 and a sentence (contract, 1 and 10)."""

import socket
from pathlib import Path

import pytest

from toto_testkit.ports import is_listening
from toto_testkit.processes import command_path
from toto_testkit.written_app import WrittenApp, assert_refused

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

START_FAILURE = 3


def test_a_port_in_use_is_named(app: WrittenApp) -> None:
    """The user reads which port is taken, not a traceback."""
    with socket.create_server(("127.0.0.1", app.port)):
        ended = app.run(*app.gateway_arguments())

    assert_refused(ended, START_FAILURE, str(app.port))


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("methods/broken.py", "import no_such_library_xyz\n", "no_such_library_xyz"),
        ("methods/broken.py", "def invoke(handler, parameters)\n    return 1\n", "SyntaxError"),
        ("methods/broken.py", "raise RuntimeError('out of cheese')\n", "out of cheese"),
        ("methods/broken/__init__.py", "1 / 0\n", "ZeroDivisionError"),
        ("methods/deep/broken.py", "1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_a_method_that_does_not_import_is_named(
    app: WrittenApp, name: str, text: str, reason: str
) -> None:
    """The module and the traceback are shown, and nothing goes on running without it."""
    app.write("methods/deep/__init__.py", "")
    app.write(name, text)

    ended = app.run(*app.gateway_arguments())

    said = ended.stdout + ended.stderr
    assert ended.returncode == START_FAILURE, said
    assert "broken" in ended.stderr
    assert reason in said
    assert "Traceback" in said or "SyntaxError" in said
    assert not is_listening(app.port)


def test_a_method_root_that_does_not_exist_is_named(app: WrittenApp) -> None:
    """A mistyped package name ends the start."""
    ended = app.run(*app.gateway_arguments("--method-module", "no_such_methods"))

    assert ended.returncode == START_FAILURE
    assert "no_such_methods" in ended.stderr


def test_a_worker_whose_methods_do_not_import_ends(app: WrittenApp, tmp_path: Path) -> None:
    """A worker started by itself fails in the same way as one the gateway starts."""
    app.write("methods/broken.py", "import no_such_library_xyz\n")

    ended = app.run(
        command_path("toto-worker"),
        *("--methods", "methods"),
        *("--app-dir", str(app.directory)),
        *("--connect", f"ipc://{tmp_path}/workers.sock"),
    )

    said = ended.stdout + ended.stderr
    assert ended.returncode == START_FAILURE, said
    assert "broken" in ended.stderr
    assert "no_such_library_xyz" in said


def test_a_worker_address_in_use_is_named(app: WrittenApp) -> None:
    """The address for workers is opened at the start, like the port for clients."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = app.run(*app.gateway_arguments("--worker-address", f"tcp://127.0.0.1:{port}"))

    assert_refused(ended, START_FAILURE, str(port))


def test_workers_on_other_hosts_need_keys(app: WrittenApp) -> None:
    """Whoever may dial the worker address runs calls, so it is not opened to a network as it is."""
    address = f"tcp://0.0.0.0:{app.port}"

    ended = app.run(*app.gateway_arguments("--worker-address", address))

    assert ended.returncode in {2, 3}
    assert "0.0.0.0" in ended.stderr  # noqa: S104  # a text, nothing is bound


CHILD = """
from toto._core.child import ChildContext
from toto._core.settings import Secret
context = ChildContext(ready_fd=-1, parent_pipe=-1)
options = {"database": "redis", "redis_url": Secret("http://:hunter2@localhost")}
"""
GATEWAY_CHILD = """
from toto_gateway.app import run_gateway_process
from toto_gateway.settings import GatewaySettings
raise SystemExit(run_gateway_process(GatewaySettings(**options), [], "ipc:///nowhere", 0, context))
"""
WORKER_CHILD = """
from toto_worker.service import run_worker_process
from toto_worker.settings import WorkerSettings
raise SystemExit(run_worker_process(WorkerSettings(**options), "worker-0", context))
"""


@pytest.mark.parametrize(
    ("command", "child"), [("toto-gateway", GATEWAY_CHILD), ("toto-worker", WORKER_CHILD)]
)
def test_stores_that_only_a_child_finds_wrong_end_the_start(
    app: WrittenApp, command: str, child: str
) -> None:
    """What the checks before the fork let through ends the child with a sentence, not a trace."""
    ended = app.run_python(CHILD + child)

    assert_refused(ended, START_FAILURE, f"{command}: error: redis_url is refused")
    assert "hunter2" not in ended.stderr


PRELOAD = """
import gc, os, sys, threading

def held():
    fds = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            fds[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:  # that of the listing itself
            pass
    return fds, sorted(os.listdir("/proc/self/task")), threading.active_count()

from toto._core.settings import Secret
from toto._core.stores.open import preload
from toto_gateway.settings import GatewaySettings, check_gateway_settings

database, cache, url = sys.argv[1:]
settings = GatewaySettings(database=database, session_cache=cache, redis_url=Secret(url))
before = held()
check_gateway_settings(settings)
preload(settings)
assert held() == before, (before, held())
names = {"Engine", "Redis", "RedisCluster", "MongoClient", "BlockingConnectionPool", "QueuePool"}
made = [type(each).__name__ for each in gc.get_objects() if type(each).__name__ in names]
assert made == [], made
"""


@pytest.mark.parametrize("cache", ["none", "redis"])
@pytest.mark.parametrize("database", ["sqlite", "redis", "postgres", "mysql", "mongodb", "none"])
def test_nothing_is_opened_before_the_fork(app: WrittenApp, database: str, cache: str) -> None:
    """Checking and importing leave no thread, no descriptor and no client for forks to inherit."""
    ended = app.run_python(PRELOAD, database, cache, "redis://localhost")

    assert ended.returncode == 0, ended.stderr


def test_without_a_mistake_the_application_starts(app: WrittenApp) -> None:
    """What the tests above refuse is refused for the mistake they plant."""
    with app.command(*app.gateway_arguments()) as running:
        running.wait_ready(f"http://127.0.0.1:{app.port}/readyz")
