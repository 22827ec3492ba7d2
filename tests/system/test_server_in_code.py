"""Start-up scripts of two lines, as Toto's users write them (contract, section 10)."""

import sys
from pathlib import Path

import pytest

from toto_testkit.formats import toml_text
from toto_testkit.http import fetch
from toto_testkit.processes import command_path
from toto_testkit.written_app import WrittenApp

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

SCRIPT = "from toto.server import TotoServer\n\nTotoServer('gw.conf').run()\n"
CALL = b'{"method": "echo", "parameters": {"a": 1}}'


def write_conf(app: WrittenApp, **options: object) -> None:
    """Write a conf that serves the application."""
    common = {"workers": 1, "app_dir": str(app.directory), "method_module": "methods"}
    app.write("gw.conf", toml_text({**common, **options}))


def test_a_server_can_be_run_from_one_line(app: WrittenApp) -> None:
    """``python -c`` with a conf file and a keyword argument serves calls and ends with code 0."""
    write_conf(app)
    code = f"from toto.server import TotoServer; TotoServer('gw.conf', port={app.port}).run()"
    url = f"http://127.0.0.1:{app.port}"

    with app.command(sys.executable, "-c", code) as running:
        running.wait_ready(f"{url}/readyz")
        response = fetch(url, "POST", CALL)
        running.process.terminate()

        assert response.result == {"a": 1}
        assert running.wait() == 0


def test_a_script_takes_every_option_on_its_command_line(app: WrittenApp) -> None:
    """The script has no line for the port, and its user gives one."""
    write_conf(app)
    app.write("server.py", SCRIPT)
    url = f"http://127.0.0.1:{app.port}"

    with app.command(sys.executable, "server.py", "--port", str(app.port)) as running:
        running.wait_ready(f"{url}/readyz")

        assert fetch(url, "POST", CALL).result == {"a": 1}


def test_a_script_has_a_help(app: WrittenApp) -> None:
    """``python server.py --help`` lists the options of the gateway."""
    write_conf(app)
    app.write("server.py", SCRIPT)

    ended = app.run(sys.executable, "server.py", "--help")

    assert ended.returncode == 0, ended.stderr
    assert "--port" in ended.stdout
    assert "--workers" in ended.stdout


def test_a_worker_can_be_run_in_code(app: WrittenApp, tmp_path: Path) -> None:
    """``TotoWorkerService`` serves a gateway that was started apart."""
    address = f"ipc://{tmp_path}/workers.sock"
    app.write("gw.conf", toml_text({"port": app.port, "workers": 0, "worker_address": address}))
    app.write(
        "worker.py",
        "from toto.worker import TotoWorkerService\n\n"
        f"TotoWorkerService(method_module='methods', connect={address!r}).run()\n",
    )
    url = f"http://127.0.0.1:{app.port}"

    with (
        app.command(command_path("toto-gateway"), "--conf", "gw.conf") as gateway,
        app.command(sys.executable, "worker.py"),
    ):
        gateway.wait_ready(f"{url}/readyz")
        response = fetch(url, "POST", CALL)

    assert response.result == {"a": 1}
