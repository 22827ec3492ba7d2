"""Pings, and how a WebSocket ends (RFC 6455, sections 5.5 and 7)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.waiting import poll_until
from toto_testkit.websocket import MASK, Opcode, RawSocket, close, frame, open_raw, text

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

ECHO = b'{"method":"echo","parameters":"gr\xc3\xbc\xc3\x9fe \xf0\x9f\x98\x80"}'
ECHOED = {"result": "grüße \U0001f600"}
TEXT, BINARY, CONTINUATION = Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION
CLOSE, PING, PONG = Opcode.CLOSE, Opcode.PING, Opcode.PONG
SPLIT = ECHO.index(b"\xc3") + 1  # in the middle of a character


@pytest.fixture(autouse=True)
def _still_served(sockets: Cluster) -> Iterator[None]:
    """After each test a new socket works."""
    yield
    with open_raw(sockets) as socket:
        assert socket.call("echo", 1) == {"result": 1}


@pytest.fixture
def socket(sockets: Cluster) -> Iterator[RawSocket]:
    """An open connection."""
    with open_raw(sockets) as opened:
        yield opened


# -- pings


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\xff\xfe", b"x" * 125])
def test_a_ping_is_answered(socket: RawSocket, payload: bytes) -> None:
    """With its own payload, and only then."""
    socket.send(frame(PING, payload))

    found = socket.read_frame()
    assert (found.opcode, found.payload, found.is_final) == (PONG, payload, True)


def test_a_ping_between_fragments_is_answered_at_once(socket: RawSocket) -> None:
    """While the rest of the message has not come."""
    socket.send(frame(TEXT, ECHO[:SPLIT], is_final=False) + frame(PING, b"now"))
    found = socket.read_frame()
    socket.send(frame(CONTINUATION, ECHO[SPLIT:]))

    assert (found.opcode, found.payload) == (PONG, b"now")
    assert socket.read_message() == ECHOED


def test_the_last_of_many_pings_is_answered(socket: RawSocket) -> None:
    """Others may be passed over, but no pong comes unasked or out of order."""
    socket.send(b"".join(frame(PING, b"%d" % number) for number in range(500)))
    seen: list[int] = []
    while not seen or seen[-1] != 499:
        found = socket.read_frame()
        assert found.opcode == PONG
        seen.append(int(found.payload))

    assert seen == sorted(set(seen))


# -- closing


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 3000, 3999, 4999])
def test_a_close_is_echoed(socket: RawSocket, code: int) -> None:
    """With its code; then the connection ends."""
    socket.send(close(code, "grüße".encode()))

    assert socket.read_close() == code


def test_a_close_without_a_code_is_answered(socket: RawSocket) -> None:
    """With none, or with 1000."""
    socket.send(close())

    assert socket.read_close() in {None, 1000}


@pytest.mark.parametrize("mask", [MASK, b"\0\0\0\0"])
def test_a_close_may_have_the_longest_reason(socket: RawSocket, mask: bytes) -> None:
    """123 bytes."""
    socket.send(frame(CLOSE, b"\x0f\xa0" + b"r" * 123, mask=mask))

    assert socket.read_close() == 4000


def test_nothing_behind_a_close_is_read(socket: RawSocket, tmp_path: Path) -> None:
    """Neither calls nor garbage."""
    ran = tmp_path / "ran"
    call = text({"method": "socket.mark", "parameters": {"path": str(ran)}})
    socket.send(close(1000) + call + b"\xff" * 50 + close(4000))

    assert socket.read_close() == 1000
    assert not ran.exists()


def test_a_close_inside_a_fragmented_message_ends_the_socket(socket: RawSocket) -> None:
    """Politely, or as an offence: the message was not finished."""
    socket.send(frame(TEXT, ECHO, is_final=False) + close(1000))

    assert socket.read_close() in {1000, 1002}


def test_a_close_ends_calls_under_way(socket: RawSocket, tmp_path: Path) -> None:
    """It is echoed at once, and the calls are cancelled."""
    started, cancelled = tmp_path / "started", tmp_path / "cancelled"
    parameters: dict[str, Any] = {"started": str(started), "cancelled": str(cancelled)}
    socket.send(text({"method": "wait", "parameters": {**parameters, "seconds": 20}}))
    poll_until(started.exists, message="the call runs")
    socket.send(close(1000))

    assert socket.read_close() == 1000
    poll_until(cancelled.exists, message="the call is cancelled")
