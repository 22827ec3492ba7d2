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


def test_without_a_mistake_the_application_starts(app: WrittenApp) -> None:
    """What the tests above refuse is refused for the mistake they plant."""
    with app.command(*app.gateway_arguments()) as running:
        running.wait_ready(f"http://127.0.0.1:{app.port}/readyz")
