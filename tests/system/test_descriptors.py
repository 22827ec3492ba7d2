"""A gateway that runs out of descriptors refuses connections, and nothing worse."""

import shlex
from contextlib import ExitStack
from pathlib import Path

import pytest

from toto_testkit.http import RawConnection, fetch, fetch_status
from toto_testkit.waiting import poll_until
from toto_testkit.written_app import WrittenApp

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


def test_too_many_connections_are_closed_and_the_rest_served(
    app: WrittenApp, tmp_path: Path
) -> None:
    """Beyond its limit the gateway closes new connections; it neither spins nor floods the log."""
    serve = shlex.join(app.gateway_arguments())
    command = app.command("bash", "-c", f"ulimit -n 80; exec {serve}")
    url = f"http://127.0.0.1:{app.port}"
    with command:
        command.wait_ready(f"{url}/readyz")
        with ExitStack() as idle:
            for _ in range(120):
                idle.enter_context(RawConnection(app.port))
            with RawConnection(app.port) as refused:
                assert refused.read_to_end() == b""

        poll_until(lambda: fetch_status(f"{url}/livez") == 200, message="room again")
        answer = fetch(f"{url}/echo?a=1", "GET", b"", {}, 5.0)

        assert answer.result == {"a": "1"}
        assert "Too many open files" not in command.output()
