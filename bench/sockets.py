"""Calls over WebSockets beside the same calls over HTTP, in one run.

    python bench/sockets.py --rounds 3 --seconds 3

A connection of HTTP has one call under way. Where a WebSocket has several, HTTP gets as many
connections as there are calls under way on all WebSockets together.
"""

import argparse
import gc
import statistics
import sys
from collections.abc import Sequence

from load import (
    Connection,
    HttpConnection,
    NoWebSocket,
    Timings,
    WebSocketConnection,
    closed_loop,
    raise_descriptors,
)
from servers import bounded, cluster, show

SHAPES = ((1, 1), (32, 1), (4, 8))
"""WebSockets, and calls under way on each."""
WARM_SECONDS = 1.0


def load(connections: Sequence[Connection], in_flight: int, seconds: float) -> Timings:
    """Load with connections of their own, which are closed at the end."""
    try:
        return closed_loop(connections, in_flight, seconds)
    finally:
        for connection in connections:
            connection.close()


def measure(port: int, shape: tuple[int, int], seconds: float) -> dict[str, Timings]:
    """Load both ways once."""
    sockets, in_flight = shape
    http = [HttpConnection(port) for _ in range(sockets * in_flight)]
    http_timings = load(http, 1, seconds)
    web_sockets = [WebSocketConnection(port) for _ in range(sockets)]
    return {"HTTP": http_timings, "WebSocket": load(web_sockets, in_flight, seconds)}


def row(shape: tuple[int, int], way: str, runs: Sequence[dict[str, Timings]]) -> tuple[object, ...]:
    """Return the medians of all rounds."""
    sockets, in_flight = shape
    timings = [run[way] for run in runs]
    ratios = [run[way].per_second / run["HTTP"].per_second for run in runs]
    connections, each = (sockets * in_flight, 1) if way == "HTTP" else shape
    return (
        f"{connections} x {each}",
        way,
        f"{statistics.median(each.per_second for each in timings):,.0f}",
        statistics.median(each.percentile(50) for each in timings),
        statistics.median(each.percentile(99) for each in timings),
        statistics.median(ratios),
    )


def run_sockets(rounds: int, seconds: float) -> None:
    """Print the figures; the two ways take turns, so that a change of the machine hits both."""
    rows: list[tuple[object, ...]] = [
        ("connections x calls", "way", "calls/s", "p50 ms", "p99 ms", "of HTTP")
    ]
    with cluster(gateway=("--use-web-sockets",)) as servers:
        try:
            for shape in SHAPES:
                measure(servers.port, shape, WARM_SECONDS)
                runs = [measure(servers.port, shape, seconds) for _ in range(rounds)]
                rows += [row(shape, way, runs) for way in ("HTTP", "WebSocket")]
        except NoWebSocket as reason:
            print(f"skipped: {reason}")
            return
    show("## calls over WebSockets and over HTTP", *rows)


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--limit", type=int, default=300, help="seconds for all of it")
    arguments = options.parse_args()
    raise_descriptors()
    gc.disable()
    with bounded(arguments.limit):
        run_sockets(arguments.rounds, arguments.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
