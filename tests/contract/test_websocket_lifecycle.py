"""WebSockets when the gateway stops, clients vanish or flood, or there are many (section 8)."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import Gate, InBackground, MakeCluster
from toto_testkit.http import ConnectionEnded, fetch_status
from toto_testkit.ports import is_listening
from toto_testkit.process_tree import open_files
from toto_testkit.waiting import poll_until
from toto_testkit.websocket import (
    HANDSHAKE,
    Opcode,
    RawSocket,
    close,
    frame,
    open_raw,
    open_socket,
    rss_mib,
    text,
)

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

FLOOD_BYTES = 32 * 1_048_576
FLOOD_GROWTH_MIB = 24.0
MANY = 200


# -- the gateway stops


def stop(cluster: Cluster) -> None:
    """Ask the gateway to end, and return when it has begun to."""
    cluster.command.send_signal(signal.SIGTERM)
    poll_until(lambda: fetch_status(f"{cluster.url}/readyz") != 200, message="the gateway drains")


def test_idle_sockets_are_closed_at_once(make_cluster: MakeCluster) -> None:
    """With 1001, going away; who does not answer that does not hold up the gateway for long."""
    cluster = make_cluster(workers=1, use_web_sockets=True)
    with open_raw(cluster) as silent:
        with open_socket(cluster) as fresh, open_socket(cluster) as used:
            assert used.result("echo", 1) == 1
            stopped_at = time.monotonic()
            cluster.command.send_signal(signal.SIGTERM)

            assert fresh.close_code(5.0) == 1001
            assert used.close_code(5.0) == 1001
            assert time.monotonic() - stopped_at < 2.0
        assert cluster.command.wait(10.0) == 0
        assert time.monotonic() - stopped_at < 8.0
        assert silent.read_close() == 1001


def test_calls_under_way_are_finished_first(make_cluster: MakeCluster, gate: Gate) -> None:
    """New ones are answered 1104; the socket is closed when the last has its answer."""
    cluster = make_cluster(workers=1, threads=2, use_web_sockets=True)
    with open_socket(cluster) as socket:
        socket.send({"id": "gate", "method": "gate", "parameters": gate.parameters()})
        release = gate.parameters()["release"]
        socket.send({"id": "stream", "method": "streams.gated", "parameters": {"release": release}})
        gate.wait_started()
        assert socket.receive() == {"id": "stream", "item": "first"}
        stop(cluster)
        refusal = socket.error("echo", 1)
        socket.send({"id": "b", "batch": {"k": {"method": "echo", "parameters": 1}}})
        refused_batch = socket.receive()
        gate.open()
        answer = socket.receive_of("gate")
        stream = socket.stream("stream")
        code = socket.close_code()

    assert refusal["code"] == 1104
    assert refusal["retryable"] is True
    assert refused_batch["error"]["code"] == 1104
    assert "result" in answer
    assert stream == [{"id": "stream", "item": "second"}, {"id": "stream", "end": True}]
    assert code == 1001
    assert cluster.command.wait() == 0


def test_what_takes_too_long_is_not_waited_for(make_cluster: MakeCluster, tmp_path: Path) -> None:
    """After ``graceful_timeout`` the socket is closed, and the method learns that it is over."""
    cluster = make_cluster(workers=1, use_web_sockets=True, graceful_timeout=1.0)
    started, cancelled = tmp_path / "started", tmp_path / "cancelled"
    parameters = {"seconds": 9, "started": str(started), "cancelled": str(cancelled)}
    with open_socket(cluster) as socket:
        socket.send({"id": 1, "method": "wait", "parameters": parameters})
        poll_until(started.exists, message="the call runs")
        stopped_at = time.monotonic()
        cluster.command.send_signal(signal.SIGTERM)
        code = socket.close_code()
        seconds = time.monotonic() - stopped_at

    assert code in {1001, None}
    assert seconds < 6.0
    cluster.command.wait()
    assert not is_listening(cluster.port)


def test_a_handshake_while_the_gateway_stops_is_refused(
    make_cluster: MakeCluster, in_background: InBackground, gate: Gate
) -> None:
    """On a connection from before: 503 with error 1104, or its end."""
    cluster = make_cluster(workers=1, use_web_sockets=True)
    pending = in_background(cluster.call, "gate", gate.parameters())
    gate.wait_started()
    with cluster.connect() as connection:
        connection.request("GET", "/livez")
        connection.read_response("GET")
        stop(cluster)
        try:
            connection.request("GET", "/websocket", HANDSHAKE)
            response = connection.read_response("GET")
        except (ConnectionEnded, OSError):
            response = None
        gate.open()

    if response is not None:
        assert response.status == 503
        assert response.error["code"] == 1104
    assert pending.result().status == 200


# -- clients that vanish


@pytest.mark.parametrize("way", ["reset", "close", "half_close"])
def test_a_client_that_vanishes_is_told_to_its_methods(
    sockets: Cluster, gate: Gate, tmp_path: Path, way: str
) -> None:
    """``on_connection_close`` of a function's module is called, a coroutine is cancelled."""
    started, cancelled = tmp_path / "started.txt", tmp_path / "cancelled.txt"
    parameters = {"seconds": 20, "started": str(started), "cancelled": str(cancelled)}
    with open_raw(sockets) as connection:
        connection.send(text({"id": 1, "method": "gate", "parameters": gate.parameters()}))
        connection.send(text({"id": 2, "method": "wait", "parameters": parameters}))
        gate.wait_started()
        poll_until(started.exists, message="the coroutine waits")
        getattr(connection, way)()

        poll_until(gate.is_closed, 3.0, "on_connection_close is called")
        poll_until(cancelled.exists, 3.0, "the coroutine is cancelled")
    gate.open()

    assert sockets.call("echo", 1).result == 1
    told = gate.directory / "call.closed"
    poll_until(lambda: told.exists() and told.read_text() == "closed\n", message="it is told")


# -- clients that flood and do not read


def numbered(number: int) -> dict[str, Any]:
    return {"id": number, "method": "echo", "parameters": "x" * 200}


FLOODS: dict[str, bytes] = {
    "pings": frame(Opcode.PING, b"p" * 125) * 500,
    "garbage": frame(Opcode.TEXT, b"nonsense") * 3000,
    "binary garbage": frame(Opcode.BINARY, b"\xc1" * 50) * 1000,
    "calls": b"".join(text(numbered(number)) for number in range(250)),
    "calls in toto's form": text({"method": "echo", "parameters": "x" * 2000}) * 30,
    "large calls": text({"method": "echo", "parameters": "x" * 200_000}),
    "unknown methods": text({"method": "no.such"}) * 2000,
    "sessions": text({"id": "s", "session_id": None}) * 2000,
    "sessions of nobody": text({"id": "s", "session_id": "AAAAAAAAAAAAAAAAAAAAAA"}) * 1000,
    "cancelled calls": (
        text({"id": 1, "method": "wait", "parameters": {"seconds": 20}})
        + text({"id": 1, "cancel": True})
    )
    * 500,
    "cancelling nothing": text({"id": 1, "cancel": True}) * 2000,
    "credit for nothing": text({"id": 1, "credit": 2**60}) * 2000,
    "batches": text({"batch": {str(n): numbered(n) for n in range(50)}}) * 4,
    "pongs": frame(Opcode.PONG, b"p" * 125) * 500,
}


@pytest.mark.parametrize("data", FLOODS.values(), ids=FLOODS)
def test_a_flood_fills_no_memory(sockets: Cluster, data: bytes) -> None:
    """Whoever floods and does not read is not read either, or is cut off; others are served."""
    pids = sorted(sockets.gateway_pids() | sockets.worker_pids())
    before = {pid: rss_mib(pid) for pid in pids}
    most = dict(before)

    def look() -> None:
        most.update({pid: max(most[pid], rss_mib(pid)) for pid in pids})

    with open_raw(sockets, receive_buffer_bytes=16_384) as connection:
        connection.flood(data, FLOOD_BYTES, 0.3)
        look()
        with open_socket(sockets) as other:
            # batches may fill the queue of calls for a while, which is an answer too
            poll_until(lambda: other.call("echo", 1) == {"result": 1}, message="others are served")
        look()

    growth = {pid: most[pid] - before[pid] for pid in pids}
    assert max(growth.values()) < FLOOD_GROWTH_MIB, growth


# -- many sockets


def test_sockets_leave_nothing_behind(sockets: Cluster) -> None:
    """However they end; the gateway holds as many descriptors as before, and no more memory."""
    (pid,) = sockets.gateway_pids()
    open_and_end_many(sockets, pid)
    before = rss_mib(pid)

    open_and_end_many(sockets, pid)

    assert rss_mib(pid) - before < 8.0


def open_and_end_many(cluster: Cluster, pid: int) -> None:
    """Open many sockets at once, end them in every way, and wait until all are closed."""
    endings = [RawSocket.close, RawSocket.reset, RawSocket.half_close, say_good_bye, offend]
    before = len(open_files(pid))
    with ExitStack() as stack:
        opened = [stack.enter_context(open_raw(cluster)) for _ in range(MANY)]
        for number, socket in enumerate(opened):
            assert socket.call("echo", number) == {"result": number}
            if number % 7 == 0:
                socket.send(text({"id": 1, "method": "wait", "parameters": {"seconds": 20}}))
        assert len(open_files(pid)) >= MANY
        for number, socket in enumerate(opened):
            endings[number % len(endings)](socket)
        for _ in range(20):
            with cluster.connect() as refused:
                refused.request("GET", "/websocket", {**HANDSHAKE, "Sec-WebSocket-Key": "x"})
                assert refused.read_response("GET").status == 400
    poll_until(lambda: len(open_files(pid)) <= before, message="all are closed")


def say_good_bye(connection: RawSocket) -> None:
    connection.send(close(1000))


def offend(connection: RawSocket) -> None:
    connection.send(b"\xff" * 8)


# -- several gateway processes


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateway processes and two workers."""
    options = {"threads": 4, "processes": 2, "request_timeout": 20.0, "use_web_sockets": True}
    directory = tmp_path_factory.mktemp("socket-pair")
    with Cluster(directory, workers=2, options=options) as started:
        yield started


def test_sockets_of_two_gateways_are_all_served(pair: Cluster, in_background: InBackground) -> None:
    """Each has its calls, streams and messages, whichever process took it."""

    def converse(name: int) -> Any:
        with open_socket(pair) as socket:
            items = socket.items("streams.numbers", {"count": 100})
            results = [socket.result("echo", [name, number]) for number in range(20)]
            socket.send({"method": "socket.push", "parameters": {"messages": [name]}})
            return items, results, socket.receive(), socket.receive()

    talks = [in_background(converse, name) for name in range(24)]

    assert [talk.result() for talk in talks] == [
        (list(range(100)), [[name, number] for number in range(20)], name, {"result": 1})
        for name in range(24)
    ]


def test_a_gateway_that_dies_takes_its_sockets_alone(
    pair: Cluster, in_background: InBackground, tmp_path: Path
) -> None:
    """Their calls are cancelled; those of the other gateway go on, and new sockets find room."""
    victim = min(pair.gateway_pids())
    with ExitStack() as stack:
        opened = [in_background(RawSocket, pair.port) for _ in range(24)]
        sockets = [stack.enter_context(future.result()) for future in opened]
        for number, socket in enumerate(sockets):
            socket.shake_hands()
            parameters = {
                "seconds": 20,
                "started": str(tmp_path / f"{number}.started"),
                "cancelled": str(tmp_path / f"{number}.cancelled"),
            }
            socket.send(text({"id": 1, "method": "wait", "parameters": parameters}))
        poll_until(lambda: len(list(tmp_path.glob("*.started"))) == 24, message="all run")
        os.kill(victim, signal.SIGKILL)
        kept = [number for number, socket in enumerate(sockets) if lives(socket)]
        lost = sorted(set(range(24)) - set(kept))
        names = {f"{number}.cancelled" for number in lost}
        poll_until(lambda: names == {path.name for path in tmp_path.glob("*.cancelled")})

        assert all(lives(sockets[number]) for number in kept)
    poll_until(lambda: len(pair.gateway_pids()) == 2, message="the gateway is replaced")
    with open_socket(pair) as socket:
        assert socket.result("echo", 1) == 1


def lives(socket: RawSocket) -> bool:
    """Tell whether a socket is open and served."""
    try:
        return bool(socket.call("echo", 1) == {"result": 1})
    except (ConnectionEnded, OSError):
        return False
