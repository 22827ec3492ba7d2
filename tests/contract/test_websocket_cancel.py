"""Clients that cancel calls over WebSockets (section 8)."""

import time
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.fixtures import Gate
from toto_testkit.formats import JSON, MSGPACK, Format
from toto_testkit.waiting import poll_until
from toto_testkit.websocket import THREADS, Socket, open_socket

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

both_kinds = pytest.mark.parametrize("body_format", [JSON, MSGPACK], ids=["text", "binary"])
both_endless = pytest.mark.parametrize("method", ["streams.endless", "streams.endless_async"])


def start(socket: Socket, method: str, parameters: Any, **more: Any) -> None:
    """Send a call with the id ``s``."""
    socket.send({"id": "s", "method": method, "parameters": parameters, **more})


def assert_cancelled(socket: Socket) -> None:
    """Cancel the call ``s``: items on their way may come, then the confirmation, then nothing."""
    socket.send({"id": "s", "cancel": True})
    message = socket.receive_of("s")
    while "item" in message:
        message = socket.receive_of("s")
    assert message == {"id": "s", "end": True, "cancelled": True}
    assert socket.result("echo", 1) == 1
    assert socket.is_quiet(0.1)


@both_endless
def test_a_cancelled_stream_is_closed(socket: Socket, method: str, tmp_path: Path) -> None:
    """The ``finally`` of the generator runs once, and nothing follows the confirmation."""
    closed = tmp_path / "closed"
    start(socket, method, {"closed": str(closed)})
    for number in range(5):
        assert socket.receive() == {"id": "s", "item": number}

    assert_cancelled(socket)

    poll_until(lambda: closed.exists() and closed.read_text(), message="the generator is closed")
    start(socket, "echo", 2)
    assert socket.receive() == {"id": "s", "result": 2}
    assert closed.read_text() == "closed\n"


@both_endless
def test_a_stream_that_waits_for_credit_can_be_cancelled(
    socket: Socket, method: str, tmp_path: Path
) -> None:
    """Although it does not run."""
    closed = tmp_path / "closed"
    start(socket, method, {"closed": str(closed)}, credit=1)
    socket.receive()
    assert socket.is_quiet(0.1)

    assert_cancelled(socket)

    poll_until(closed.exists, message="the generator is closed")


def test_a_cancelled_coroutine_is_cancelled(socket: Socket, tmp_path: Path) -> None:
    """It gets a CancelledError where it waits."""
    started, cancelled = tmp_path / "started", tmp_path / "cancelled"
    parameters = {"seconds": 20, "started": str(started), "cancelled": str(cancelled)}
    start(socket, "wait", parameters)
    poll_until(started.exists, message="the coroutine waits")

    assert_cancelled(socket)

    poll_until(cancelled.exists, 3.0, message="the coroutine is cancelled")


def test_a_cancelled_function_is_told(socket: Socket, gate: Gate) -> None:
    """The client need not wait for it; its result is dropped."""
    start(socket, "until_cancelled", {})
    assert_cancelled(socket)
    start(socket, "gate", gate.parameters())
    gate.wait_started()

    assert_cancelled(socket)

    gate.open()
    assert socket.is_quiet(0.1)


@both_kinds
def test_the_confirmation_has_the_kind_of_the_call(socket: Socket, body_format: Format) -> None:
    """Whatever the kind of the message that cancels."""
    other = MSGPACK if body_format is JSON else JSON
    call = {"id": "s", "method": "wait", "parameters": {"seconds": 20}}
    socket.send(call, body_format)
    socket.send({"id": "s", "cancel": True}, other)

    data = socket.receive_data()

    assert isinstance(data, str) is (body_format is JSON)


def test_a_cancelled_batch_ends_with_all_its_members(socket: Socket, tmp_path: Path) -> None:
    """There is one confirmation for all."""
    paths = [(tmp_path / f"{n}.started", tmp_path / f"{n}.cancelled") for n in range(3)]
    batch = {
        started.name: member("wait", seconds=20, started=str(started), cancelled=str(cancelled))
        for started, cancelled in paths
    }
    socket.send({"id": "s", "batch": batch})
    poll_until(lambda: all(started.exists() for started, _ in paths), message="all run")

    assert_cancelled(socket)

    poll_until(lambda: all(cancelled.exists() for _, cancelled in paths), message="all end")


def test_a_call_that_waits_for_its_turn_never_runs(
    sockets: Cluster, socket: Socket, gate: Gate, tmp_path: Path
) -> None:
    """When it was cancelled before a worker had a place for it."""
    names = [str(number) for number in range(THREADS)]
    with open_socket(sockets) as one, open_socket(sockets) as two:
        for name in names:
            other = one if int(name) % 2 else two
            other.send({"id": name, "method": "gate", "parameters": gate.parameters(name)})
        for name in names:
            gate.wait_started(name)
        start(socket, "socket.mark", {"path": str(tmp_path / "ran")})
        socket.send({"id": "s", "cancel": True})
        confirmation = socket.receive()
        gate.open()
        answers = [(one if int(name) % 2 else two).receive_of(name) for name in names]
    assert [socket.result("echo", number) for number in range(16)] == list(range(16))

    assert confirmation == {"id": "s", "end": True, "cancelled": True}
    assert all("result" in answer for answer in answers)
    assert not (tmp_path / "ran").exists()


def test_cancelling_what_is_not_under_way_is_ignored(socket: Socket) -> None:
    """It has ended, or has never been there: nothing is answered."""
    assert socket.result("echo", 1) == 1
    start(socket, "echo", 1)
    socket.receive()
    for call_id in ("s", "never", 7):
        socket.send({"id": call_id, "cancel": True})
    socket.send({"method": "echo", "parameters": "next"})

    assert socket.receive() == {"result": "next"}


def test_a_cancelled_call_leaves_its_place(socket: Socket) -> None:
    """Of the sixteen that may be under way."""
    for _ in range(3):
        for number in range(16):
            call = {"id": number, "method": "wait", "parameters": {"seconds": 20}}
            socket.send(call)
        for number in range(16):
            socket.send({"id": number, "cancel": True})
        confirmed = {socket.receive()["id"] for _ in range(16)}
        assert confirmed == set(range(16))

    assert socket.result("echo", 1) == 1


def test_every_call_ends_once_however_late_it_is_cancelled(socket: Socket) -> None:
    """With its answer or with the confirmation, never with both, and never with neither."""
    calls = [
        ("echo", {"a": 1}),
        ("wait", {"seconds": 0.001}),
        ("streams.numbers", {"count": 2}),
        ("streams.numbers_async", {"count": 2}),
    ]
    for number in range(200):
        method, parameters = calls[number % 4]
        socket.send({"id": number, "method": method, "parameters": parameters})
        if number % 3:
            time.sleep(0.0005 * (number % 7))
        socket.send({"id": number, "cancel": True})
        message = socket.receive_of(number)
        while "item" in message:
            message = socket.receive_of(number)
        assert "end" in message or "result" in message, message

    assert socket.result("echo", 1) == 1
    assert socket.is_quiet(0.1)
