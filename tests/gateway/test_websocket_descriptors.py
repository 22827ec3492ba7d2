"""WebSockets count among the connections that a gateway has descriptors for."""

import shlex
from contextlib import ExitStack
from pathlib import Path

import pytest

from toto_testkit.http import ConnectionEnded, RawConnection
from toto_testkit.waiting import poll_until
from toto_testkit.written_app import WrittenApp

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

DESCRIPTORS = 80
CONNECTIONS = DESCRIPTORS - 48
"""So many the gateway keeps for all else."""
HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def test_sockets_take_connections_and_give_them_back(tmp_path: Path) -> None:
    """As many as there is room for, the next one is closed, and all are free again afterwards."""
    directory = tmp_path / "app"
    directory.mkdir()
    app = WrittenApp(directory)
    serve = shlex.join(app.gateway_arguments("--use-web-sockets", "--database", "none"))
    command = app.command("bash", "-c", f"ulimit -n {DESCRIPTORS}; exec {serve}")

    with command:
        command.wait_ready(f"http://127.0.0.1:{app.port}/readyz")
        for _ in range(3):
            poll_until(lambda: sockets_until_refused(app.port) == CONNECTIONS, message="all free")

        assert "Too many open files" not in command.output()


def sockets_until_refused(port: int) -> int:
    """Open sockets until one is refused, then close all; return how many there were."""
    with ExitStack() as opened:
        for count in range(DESCRIPTORS):
            connection = opened.enter_context(RawConnection(port))
            try:
                connection.request("GET", "/websocket", HANDSHAKE)
                assert connection.read_head().status == 101
            except (ConnectionEnded, OSError):
                return count
    raise AssertionError("no socket was refused")
