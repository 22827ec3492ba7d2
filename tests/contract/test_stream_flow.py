"""Clients that read slowly or go away: the method learns of it (sections 1 and 6)."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import Gate
from toto_testkit.http import RawConnection
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

BLOCK_BYTES = 16_384  # one item of the method streams.blocks
BLOCKS = 2048  # 32 MiB
IN_FLIGHT_BYTES = 12 * 1_048_576  # the window of 256 KiB, and what the kernel takes on both sides


@dataclass
class Standstill:
    """A predicate: true once a number in a file has not changed for a while."""

    path: Path
    quiet_seconds: float = 0.5
    _seen: tuple[int, float] = field(default=(-1, 0.0))

    def number(self) -> int:
        return int(self.path.read_text()) if self.path.exists() else -1

    def __call__(self) -> bool:
        number, now = self.number(), time.monotonic()
        if number != self._seen[0]:
            self._seen = (number, now)
        return number >= 0 and now - self._seen[1] > self.quiet_seconds


def open_blocks(cluster: Cluster, progress: Path) -> RawConnection:
    """Ask for the blocks with a small receive buffer, and read no more than the headers."""
    connection = cluster.connect(receive_buffer_bytes=65_536, timeout_seconds=30.0)
    connection.request("GET", f"/streams/blocks?count={BLOCKS}&progress={progress}")
    assert connection.read_head().status == 200
    return connection


def test_a_slow_client_stops_the_generator(cluster: Cluster, tmp_path: Path) -> None:
    """Nobody reads, so nobody produces; then the client reads on and gets everything."""
    standstill = Standstill(tmp_path / "progress")

    with open_blocks(cluster, standstill.path) as connection:
        poll_until(standstill, 20.0, "the generator stands still")
        stopped_at = standstill.number()
        lines = [len(line) for line in connection.lines()]

    assert stopped_at * BLOCK_BYTES < IN_FLIGHT_BYTES
    assert len(lines) == BLOCKS + 1
    assert min(lines[:-1]) > BLOCK_BYTES
    assert standstill.number() == BLOCKS - 1


def test_a_slow_client_slows_nobody_else(cluster: Cluster, tmp_path: Path) -> None:
    """While a stream stands still other calls and streams are served."""
    standstill = Standstill(tmp_path / "progress")

    with open_blocks(cluster, standstill.path):
        poll_until(standstill, 20.0, "the generator stands still")
        results = [cluster.call("echo", number).result for number in range(20)]
        other = cluster.get("/streams/numbers?count=1000")

    assert results == list(range(20))
    assert other.body.count(b"\n") == 1001


@pytest.mark.parametrize("method", ["endless", "endless_async"])
@pytest.mark.parametrize("way", ["close", "reset"])
def test_a_client_that_leaves_closes_the_generator(
    cluster: Cluster, tmp_path: Path, method: str, way: str
) -> None:
    """The ``finally`` of the generator runs, once."""
    closed = tmp_path / "closed"

    with cluster.connect() as connection:
        connection.request("GET", f"/streams/{method}?closed={closed}")
        connection.read_head()
        lines = connection.lines()
        assert json.loads(next(lines)) == {"result": 0}
        if way == "reset":
            connection.reset()
    poll_until(closed.exists, message="the generator is closed")

    assert cluster.call("echo", 1).result == 1
    assert closed.read_text() == "closed\n"


def test_a_client_that_leaves_while_it_is_slow_closes_the_generator(
    cluster: Cluster, tmp_path: Path
) -> None:
    """A generator that stands still is given up, so its slot is free again."""
    standstill = Standstill(tmp_path / "progress")

    with open_blocks(cluster, standstill.path):
        poll_until(standstill, 20.0, "the generator stands still")
        stopped_at = standstill.number()
    results = [cluster.call("echo", number).result for number in range(20)]

    assert results == list(range(20))
    assert standstill.number() - stopped_at < BLOCKS // 2


def test_a_method_is_told_that_its_client_left(cluster: Cluster, gate: Gate) -> None:
    """``on_connection_close`` of the module is called once, while the method still runs."""
    body = json.dumps({"method": "gate", "parameters": gate.parameters()}).encode()

    with cluster.connect() as connection:
        connection.request("POST", "/", {}, body)
        gate.wait_started()
    poll_until(gate.is_closed, message="on_connection_close is called")
    gate.open()

    assert cluster.call("echo", 1).result == 1
    assert (gate.directory / "call.closed").read_text() == "closed\n"


def test_a_method_is_not_told_when_its_client_stays(cluster: Cluster, gate: Gate) -> None:
    """A call that ends as it should has no connection to lose, even if the client leaves later."""
    gate.open()

    with cluster.connect() as connection:
        connection.request(
            "POST", "/gate", {}, json.dumps({"parameters": gate.parameters()}).encode()
        )
        assert connection.read_response().status == 200
    assert cluster.call("echo", 1).result == 1

    assert not gate.is_closed()


def test_a_coroutine_is_cancelled_when_its_client_leaves(cluster: Cluster, tmp_path: Path) -> None:
    """A coroutine gets a CancelledError at the place where it waits."""
    started, cancelled = tmp_path / "started", tmp_path / "cancelled"

    with cluster.connect() as connection:
        target = f"/wait?seconds=20&started={started}&cancelled={cancelled}"
        connection.request("GET", target)
        poll_until(started.exists)
    poll_until(cancelled.exists, 3.0, message="the coroutine is cancelled")
