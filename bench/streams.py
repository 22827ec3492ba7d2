"""What a slow client's stream takes of memory, and how soon methods know that a client is gone.

    python bench/streams.py slow --size 60
    python bench/streams.py disconnect --count 200

``slow``: a client reads a stream at a fixed rate, and the memory of both processes is looked at
every second. ``disconnect``: the time from the client's RST to the ``finally`` of the method.
"""

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from load import (
    Connection,
    HttpConnection,
    NoWebSocket,
    Poller,
    Timings,
    WebSocketConnection,
    raise_descriptors,
)
from servers import Cluster, Process, bounded, cluster, show

MIB = 1024 * 1024
ITEM_BYTES = 65536
READS_PER_SECOND = 16
RECEIVE_BYTES = 128 * 1024
"""Of the client's kernel, which would take megabytes otherwise."""
READ_BEFORE_RESET_BYTES = 64 * 1024
SETTLING_SECONDS = 10.0
"""Buffers fill at first; what they take is no slope."""
END_SECONDS = 30.0
POLL_SECONDS = 0.002
WAYS: dict[str, type[Connection]] = {"HTTP": HttpConnection, "WebSocket": WebSocketConnection}
METHODS = ("endings.generator", "endings.async_generator", "endings.coroutine")


# -- a slow client


@dataclass(frozen=True)
class Sample:
    """Of both processes, in KiB."""

    seconds: float
    gateway: int
    worker: int


class SlowClient:
    """Reads a stream of items at a fixed rate.

    Args:
        connection: over which it has been called.
        bytes_per_second: the rate.
    """

    def __init__(self, connection: Connection, bytes_per_second: int) -> None:
        self._connection = connection
        self._rate = bytes_per_second
        self._begun = time.monotonic()
        self._poller = Poller([connection])
        self.bytes_read = 0
        self.items = 0
        self.has_ended = False

    def read_for(self, seconds: float) -> None:
        """Read at the rate for so long, or to the end of the stream."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end and not self.has_ended:
            due = int((now - self._begun) * self._rate) - self.bytes_read
            if due > 0 and self._poller.ready(0.0):
                self.bytes_read += self._connection.read(due)
                self._look()
            time.sleep(1 / READS_PER_SECOND)

    def _look(self) -> None:
        if isinstance(self._connection, WebSocketConnection):
            while (message := self._connection.take()) is not None:
                self._count(message)
            return
        # The chunks' sizes are between the items, but an item's beginning is never cut by one.
        lines = self._connection.received.split(b"\n")
        for line in lines[:-1]:
            self._count(bytes(line))
        self._connection.received[:] = lines[-1]

    def _count(self, record: bytes) -> None:
        self.items += record.startswith((b'{"result":"xxx', b'{"id":1,"item":"xxx'))
        self.has_ended = self.has_ended or b'"end":true' in record
        if b'"error"' in record:
            raise SystemExit(f"the stream has failed: {record[:200]!r}")


def read_slowly(servers: Cluster, connection: Connection, size: int, rate: int) -> list[Sample]:
    """Read a stream of so many bytes; return what both processes took, second by second."""
    count = size // ITEM_BYTES
    samples = [_sample(servers, 0.0)]
    call = {"id": 1, "method": "items", "parameters": {"count": count}}
    connection.call(json.dumps(call).encode())
    client = SlowClient(connection, rate)
    begun = time.monotonic()
    while not client.has_ended:
        client.read_for(1.0)
        samples.append(_sample(servers, time.monotonic() - begun))
        if samples[-1].seconds > 2 * size / rate + END_SECONDS:
            raise SystemExit(f"{client.items} of {count} items after {samples[-1].seconds:.0f} s")
    if client.items != count:
        raise SystemExit(f"{client.items} items instead of {count}")
    return samples


def _sample(servers: Cluster, seconds: float) -> Sample:
    gateway, worker = servers.gateway.memory(), servers.workers[0].memory()
    return Sample(seconds, gateway.rss_kib, worker.rss_kib)


def _row(
    way: str, process: Process, seconds: Sequence[float], kib: Sequence[int]
) -> tuple[object, ...]:
    settled = [place for place, each in enumerate(seconds) if each > SETTLING_SECONDS]
    slope: object = "-"
    if len(settled) > 2:
        fitted = statistics.linear_regression(
            [seconds[place] for place in settled], [kib[place] for place in settled]
        )
        slope = 60 * fitted.slope
    sizes = [each / 1024 for each in (kib[0], max(kib), kib[-1])]
    return (way, process.name, f"{seconds[-1]:.0f}", *sizes, slope)


def run_slow(arguments: argparse.Namespace) -> None:
    """Print the figures, each way in a gateway of its own."""
    rows: list[tuple[object, ...]] = [
        ("way", "process", "seconds", "start MiB", "max MiB", "end MiB", "KiB/min after 10 s")
    ]
    for way in arguments.over.split(","):
        with cluster(gateway=("--use-web-sockets",)) as servers:
            try:
                connection = WAYS[way](servers.port, receive_bytes=RECEIVE_BYTES)
            except NoWebSocket as reason:
                print(f"skipped: {way}: {reason}")
                continue
            size, rate = arguments.size * MIB, int(arguments.rate * MIB)
            samples = read_slowly(servers, connection, size, rate)
            connection.close()
            seconds = [each.seconds for each in samples]
            rows.append(_row(way, servers.gateway, seconds, [each.gateway for each in samples]))
            rows.append(_row(way, servers.workers[0], seconds, [each.worker for each in samples]))
    show(f"## {arguments.size} MiB to a client that reads {arguments.rate:g} MiB/s", *rows)


# -- a client that goes away


def reset_once(connection: Connection, method: str, folder: Path) -> float:
    """Call, read the beginning, reset; return the milliseconds until the method's end."""
    started, ended = folder / "started", folder / "ended"
    parameters = {"path": str(ended), "started": str(started)}
    call = {"id": 1, "method": method, "parameters": parameters}
    connection.call(json.dumps(call).encode())
    if method == "endings.coroutine":
        _read_time(started)
    else:
        _read_at_least(connection, READ_BEFORE_RESET_BYTES)
    reset_at = time.time()
    connection.reset()
    return 1000 * (_read_time(ended) - reset_at)


def _read_at_least(connection: Connection, size: int) -> None:
    poller = Poller([connection])
    end = time.monotonic() + END_SECONDS
    while size > 0:
        poller.ready(1.0)
        size -= connection.read()
        if time.monotonic() > end:
            raise SystemExit("no stream has come")
    poller.close()


def _read_time(path: Path) -> float:
    """Wait for a file of one line, a time, and remove it."""
    end = time.monotonic() + END_SECONDS
    while not path.exists():
        if time.monotonic() > end:
            raise SystemExit(f"{path.name} was not written within {END_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    written = float(path.read_text())
    path.unlink()
    return written


def run_disconnect(arguments: argparse.Namespace) -> None:
    """Print the figures of all methods over both ways."""
    rows: list[tuple[object, ...]] = [("method", "way", "times", "p50 ms", "p99 ms", "max ms")]
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster(gateway=("--use-web-sockets",)) as servers,
    ):
        for way, make in WAYS.items():
            try:
                make(servers.port).close()
            except NoWebSocket as reason:
                print(f"skipped: {way}: {reason}")
                continue
            for method in METHODS:
                timings = Timings()
                for _ in range(arguments.count):
                    milliseconds = reset_once(make(servers.port), method, Path(folder))
                    timings.milliseconds.append(milliseconds)
                figures = timings.percentile(50), timings.percentile(99), max(timings.milliseconds)
                rows.append((method.partition(".")[2], way, arguments.count, *figures))
    show("## from the client's RST to the method's finally", *rows)


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    kinds = options.add_subparsers(dest="kind", required=True)
    slow = kinds.add_parser("slow", help="memory of a slow client's stream")
    slow.add_argument("--size", type=int, default=1024, help="MiB")
    slow.add_argument("--rate", type=float, default=1.0, help="MiB in a second")
    slow.add_argument("--over", default=",".join(WAYS), help="one or both")
    slow.add_argument("--limit", type=int, default=7200, help="seconds for all of it")
    disconnect = kinds.add_parser("disconnect", help="clients that go away")
    disconnect.add_argument("--count", type=int, default=200)
    disconnect.add_argument("--limit", type=int, default=600, help="seconds for all of it")
    arguments = options.parse_args()
    raise_descriptors()
    gc.disable()
    with bounded(arguments.limit):
        (run_slow if arguments.kind == "slow" else run_disconnect)(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
