"""What parked long-polls and events cost.

    python bench/events.py polls --count 10000
    python bench/events.py latency

``polls``: memory of each parked poll, ordinary calls without and with them, and the time from one
event to the answers of all. ``latency``: the way of an event from worker to worker.
"""

import argparse
import gc
import json
import statistics
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import redis
from load import (
    PATIENCE_SECONDS,
    HttpConnection,
    Poller,
    Timings,
    raise_descriptors,
    steady,
)
from servers import Cluster, Memory, bounded, cluster, show

PARK_AT_ONCE = 200
"""Below the gateway's queue: a poll that is refused would end the run."""
ORDINARY_CONNECTIONS = 8
WARM_SECONDS = 1.0
SETTLE_SECONDS = 2.0
FORMS = {"coroutine": "polls.page", "callback": "polls.callback"}
"""``await handler.next_events(...)``, and ``handler.register_event_handler``."""
RELAY_SECONDS = 15.0
"""Gateways that relay have found each other by then."""


@dataclass(frozen=True)
class Wake:
    """From the call that sends an event to the answers of those that waited, in milliseconds."""

    first: float
    median: float
    last: float
    gateway_seconds: float
    """Computed by the gateway meanwhile, and until all is quiet again."""
    worker_seconds: float


@dataclass(frozen=True)
class Round:
    """One turn without and with parked polls."""

    before: tuple[Memory, Memory]
    """Of the gateway and of the worker."""
    parked: tuple[Memory, Memory]
    parking_seconds: float
    without: Timings
    beside: Timings
    wake: Wake


class Polls:
    """Long-polls on a connection each.

    Args:
        servers: where.
        method: what waits.
        count: how many.
    """

    def __init__(self, servers: Cluster, method: str, count: int) -> None:
        self._servers = servers
        self._count = count
        self._body = json.dumps({"method": method, "parameters": {}}).encode()
        self._connections: list[HttpConnection] = []

    def park(self) -> float:
        """Open all and wait until their methods wait; return the seconds that took."""
        begun = time.perf_counter()
        while len(self._connections) < self._count:
            for _ in range(min(PARK_AT_ONCE, self._count - len(self._connections))):
                connection = HttpConnection(self._servers.port)
                connection.call(self._body)
                self._connections.append(connection)
            self._wait_for(len(self._connections))
        return time.perf_counter() - begun

    def wake(self, number: int) -> Wake:
        """Send one event and take all answers in."""
        poller = Poller(self._connections)
        sender = HttpConnection(self._servers.port)
        before = self._cpu_seconds()
        begun = time.perf_counter()
        sender.call(_call("polls.wake", number=number))
        arrivals: list[float] = []
        expected = b'{"result":%d}' % number
        while len(arrivals) < self._count:
            ready = poller.ready(PATIENCE_SECONDS)
            if not ready:
                raise SystemExit(f"{len(arrivals)} of {self._count} polls have an answer")
            for connection in ready:
                for answer in connection.answers():
                    arrivals.append(1000 * (time.perf_counter() - begun))
                    if answer != expected:
                        raise SystemExit(f"a wrong answer to a poll: {answer[:200]!r}")
        _answer(sender)
        sender.close()
        self._wait_for(0)
        gateway, worker = (
            now - then for now, then in zip(self._cpu_seconds(), before, strict=True)
        )
        poller.close()
        return Wake(arrivals[0], statistics.median(arrivals), arrivals[-1], gateway, worker)

    def close(self) -> None:
        """Let the connections go."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _wait_for(self, count: int) -> None:
        # On a connection of its own: the gateway closes those that are silent for long.
        control = HttpConnection(self._servers.port)
        end = time.monotonic() + PATIENCE_SECONDS
        while (waiting := self._waiting(control)) != count:
            if time.monotonic() > end:
                raise SystemExit(f"{waiting} polls wait instead of {count}")
            time.sleep(0.01)
        control.close()

    @staticmethod
    def _waiting(control: HttpConnection) -> int:
        control.call(_call("polls.count"))
        return int(json.loads(_answer(control))["result"])

    def _cpu_seconds(self) -> tuple[float, float]:
        return self._servers.gateway.cpu_seconds(), self._servers.workers[0].cpu_seconds()


def _call(method: str, **parameters: object) -> bytes:
    return json.dumps({"method": method, "parameters": parameters}).encode()


def _answer(connection: HttpConnection) -> bytes:
    poller = Poller([connection])
    end = time.monotonic() + PATIENCE_SECONDS
    try:
        while time.monotonic() < end:
            poller.ready(1.0)
            for answer in connection.answers():
                return answer
    finally:
        poller.close()
    raise SystemExit("no answer")


def _memory(servers: Cluster) -> tuple[Memory, Memory]:
    return servers.gateway.memory(), servers.workers[0].memory()


def load(servers: Cluster, rate: float, seconds: float) -> Timings:
    """Make ordinary calls at a fixed rate."""
    connections = [HttpConnection(servers.port) for _ in range(ORDINARY_CONNECTIONS)]
    try:
        steady(connections, rate, WARM_SECONDS)
        return steady(connections, rate, seconds)
    finally:
        for connection in connections:
            connection.close()


def run_round(arguments: argparse.Namespace, servers: Cluster, method: str, number: int) -> Round:
    """Load without and with parked polls, and wake them."""
    polls = Polls(servers, method, arguments.count)
    try:
        without = load(servers, arguments.rate, arguments.seconds)
        before = _memory(servers)
        parking_seconds = polls.park()
        time.sleep(SETTLE_SECONDS)
        parked = _memory(servers)
        beside = load(servers, arguments.rate, arguments.seconds)
        return Round(before, parked, parking_seconds, without, beside, polls.wake(number))
    finally:
        polls.close()


def warm(servers: Cluster, method: str) -> None:
    """Park and wake a few, so that what is made once counts for nothing later."""
    polls = Polls(servers, method, 50)
    polls.park()
    polls.wake(0)
    polls.close()


def run_polls(arguments: argparse.Namespace) -> None:
    """Print the figures of both forms."""
    for form in arguments.form.split(","):
        gateway = (f"--request-timeout={arguments.limit}s",)
        worker = (f"--coroutines={max(128, arguments.count)}", "--threads=2")
        with cluster(gateway=gateway, workers=(worker,)) as servers:
            warm(servers, FORMS[form])
            rounds = []
            for number in range(1, arguments.rounds + 1):
                rounds.append(run_round(arguments, servers, FORMS[form], number))
        show_polls(f"{arguments.count:,} polls parked, {form}", arguments.count, rounds)


def show_polls(title: str, count: int, rounds: Sequence[Round]) -> None:
    """Print what the rounds of one form have shown."""
    memory: list[tuple[object, ...]] = [
        ("round", "gateway RSS KiB/poll", "PSS", "worker RSS KiB/poll", "PSS", "parked in s")
    ]
    ordinary: list[tuple[object, ...]] = [
        ("round", "p50 ms without", "p50 ms with", "p99 ms without", "p99 ms with", "p99 ratio")
    ]
    wakes: list[tuple[object, ...]] = [
        ("round", "first ms", "median ms", "last ms", "gateway CPU s", "worker CPU s")
    ]
    for number, each in enumerate(rounds, 1):
        growth = [
            (kib - kib_before) / count
            for now, then in zip(each.parked, each.before, strict=True)
            for kib, kib_before in (
                (now.rss_kib, then.rss_kib),
                (now.pss_kib, then.pss_kib),
            )
        ]
        memory.append((number, *growth, each.parking_seconds))
        ordinary.append((number, *_ordinary(each)))
        wake = each.wake
        wakes.append(
            (number, wake.first, wake.median, wake.last, wake.gateway_seconds, wake.worker_seconds)
        )
    columns = zip(*(_ordinary(each) for each in rounds), strict=True)
    ordinary.append(("median", *(statistics.median(column) for column in columns)))
    show(f"## {title}: memory (the first round tells; later ones reuse it)", *memory)
    show(f"## {title}: ordinary calls", *ordinary)
    show(f"## {title}: one event to all answers", *wakes)


def _ordinary(each: Round) -> tuple[float, ...]:
    without, beside = each.without, each.beside
    return (
        without.percentile(50),
        beside.percentile(50),
        without.percentile(99),
        beside.percentile(99),
        beside.percentile(99) / without.percentile(99),
    )


# -- latency

ASKER = ("--coroutines=16",)
ANSWERER = ("--only=return_value", "--event-init-module=on_pings")


def measure_latency(port: int, count: int) -> list[float]:
    """Return half of each round trip in milliseconds; events that were lost are missing."""
    connection = HttpConnection(port)
    try:
        connection.call(_call("pings.measure", count=count, timeout_seconds=20))
        microseconds = json.loads(_answer(connection))["result"]
    finally:
        connection.close()
    return [each / 2000 for each in microseconds]


def reaches_answerer(port: int) -> bool:
    """Tell whether an event comes back; gateways need a moment to find each other."""
    end = time.monotonic() + RELAY_SECONDS
    connection = HttpConnection(port)
    try:
        while time.monotonic() < end:
            connection.call(_call("pings.measure", count=1, timeout_seconds=0.5))
            if json.loads(_answer(connection)).get("result"):
                return True
    finally:
        connection.close()
    return False


def run_latency(arguments: argparse.Namespace) -> None:
    """Print the figures of one gateway, and of two that relay."""
    rows: list[tuple[object, ...]] = [("way", "events", "p50 ms", "p99 ms", "max ms")]
    with cluster(workers=(ASKER, ANSWERER)) as servers:
        _add_latency(rows, "one gateway", servers.port, arguments.count)
    if _has_redis(arguments.redis_url):
        options = (
            f"--redis-url={arguments.redis_url}",
            f"--redis-prefix=toto-bench-{uuid.uuid4().hex}:",
        )
        with (
            cluster(gateway=options, workers=(ASKER,)) as asking,
            cluster(gateway=options, workers=(ANSWERER,)),
        ):
            _add_latency(rows, "two gateways, by Redis", asking.port, arguments.count)
    else:
        print(f"skipped: no Redis at {arguments.redis_url}")
    show("## one event from worker to worker (half a round trip)", *rows)


def _add_latency(rows: list[tuple[object, ...]], way: str, port: int, count: int) -> None:
    if not reaches_answerer(port):
        print(f"skipped: {way}: no event has come back within {RELAY_SECONDS:.0f} s")
        return
    measure_latency(port, min(200, count))
    milliseconds = measure_latency(port, count)
    if len(milliseconds) < count:
        raise SystemExit(f"{way}: event {len(milliseconds)} of {count} was lost")
    timings = Timings(milliseconds)
    figures = timings.percentile(50), timings.percentile(99), max(milliseconds)
    rows.append((way, count, *figures))


def _has_redis(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    kinds = options.add_subparsers(dest="kind", required=True)
    polls = kinds.add_parser("polls", help="parked long-polls")
    polls.add_argument("--count", type=int, default=10_000)
    polls.add_argument("--form", default="coroutine,callback", help="one or both")
    polls.add_argument("--rounds", type=int, default=2)
    polls.add_argument("--rate", type=float, default=200.0, help="ordinary calls in a second")
    polls.add_argument("--seconds", type=float, default=20.0, help="of ordinary calls")
    polls.add_argument("--limit", type=int, default=900, help="seconds for all of it")
    latency = kinds.add_parser("latency", help="events from worker to worker")
    latency.add_argument("--count", type=int, default=2000)
    latency.add_argument("--redis-url", default="redis://127.0.0.1:6379/0")
    latency.add_argument("--limit", type=int, default=180, help="seconds for all of it")
    arguments = options.parse_args()
    raise_descriptors()
    gc.disable()  # it would stop the load for as long as it looks at thousands of connections
    with bounded(arguments.limit):
        (run_polls if arguments.kind == "polls" else run_latency)(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
