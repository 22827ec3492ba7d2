"""Load the gateway beside its peers in one run and print medians and ratios.

    python bench/run.py --rounds 3 --seconds 3 --write docs/benchmarks.md

Absolute figures do not hold from machine to machine; the ratios of one run do.
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
READY_SECONDS = 30.0
STREAM_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Scenario:
    """One kind of load."""

    name: str
    script: str
    connections: int
    about: str
    ours_only: bool = False


@dataclass(frozen=True)
class Figures:
    """What one load run showed."""

    per_second: float
    p50_milliseconds: float
    p99_milliseconds: float


SCENARIOS = (
    Scenario("small", "small.lua", 32, "70 bytes of JSON, 32 connections, requests/s"),
    Scenario("one", "small.lua", 1, "the same on 1 connection: latency"),
    Scenario("large", "large.lua", 16, "64 KiB of JSON echoed, 16 connections, requests/s"),
    Scenario("batch", "batch.lua", 8, "batches of 20 calls, 8 connections, batches/s", True),
)


def commands(port: int, peers_python: Path) -> dict[str, list[str]]:
    """Return how each contender is started; the gateway has one process and one worker."""
    gateway = [
        str(Path(sys.executable).parent / "toto-gateway"),
        f"--port={port}",
        "--host=127.0.0.1",
        "--workers=1",
        f"--app-dir={BENCH}",
        "--log-level=error",
    ]
    found = {
        "toto": gateway,
        "tornado": [sys.executable, str(BENCH / "peers/tornado_app.py"), str(port)],
    }
    if peers_python.exists():
        found["fastapi"] = [
            str(peers_python),
            *("-m", "uvicorn", "--log-level", "error", "--port", str(port)),
            *("--app-dir", str(BENCH / "peers"), "fastapi_app:app"),
        ]
    return found


@contextmanager
def serving(command: list[str], port: int) -> Iterator[None]:
    """Run a server until the block ends."""
    process = subprocess.Popen(command, start_new_session=True)
    try:
        wait_until_right(port)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_right(port: int) -> None:
    """Wait until the server gives the right answer."""
    body = json.dumps({"method": "return_value", "parameters": {"probe": 1}}).encode()
    request = urllib.request.Request(  # our own address
        f"http://127.0.0.1:{port}/", body, {"Content-Type": "application/json"}
    )
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
                if json.load(answer)["result"]["parameters"] == {"probe": 1}:
                    return
        except (OSError, ValueError, KeyError):
            pass
        if time.monotonic() > end:
            raise SystemExit("no right answer from the server")
        time.sleep(0.1)


def load(port: int, scenario: Scenario, seconds: int) -> Figures:
    """Run wrk once."""
    command = ["wrk", "-t1", f"-c{scenario.connections}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(BENCH / scenario.script), f"http://127.0.0.1:{port}/"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text:
        raise SystemExit(f"{scenario.name}: errors under load\n{text}")
    rate = _number(r"Requests/sec:\s+([\d.]+)", text)
    return Figures(rate, _latency("50", text), _latency("99", text))


def stream_rate(port: int) -> float:
    """Return MB/s of one raw stream."""
    url = f"http://127.0.0.1:{port}/stream?size={STREAM_BYTES}"
    started, size = time.monotonic(), 0
    with urllib.request.urlopen(url, timeout=60) as answer:  # our own address
        while chunk := answer.read(1 << 20):
            size += len(chunk)
    if size != STREAM_BYTES:
        raise SystemExit(f"the stream ended after {size} bytes")
    return size / 1e6 / (time.monotonic() - started)


def _number(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"wrk said something else:\n{text}")
    return float(match[1])


def _latency(percentile: str, text: str) -> float:
    match = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)\b", text)
    if match is None:
        raise SystemExit(f"wrk said something else:\n{text}")
    return float(match[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[match[2]]


def measure(
    arguments: argparse.Namespace,
) -> tuple[dict[str, dict[str, list[Figures]]], list[float]]:
    """Run all rounds; contenders take turns, so that a change of the machine's mood hits all."""
    results: dict[str, dict[str, list[Figures]]] = {}
    streams = []
    for _ in range(arguments.rounds):
        for name, command in commands(arguments.port, arguments.peers_python).items():
            if arguments.only and name not in arguments.only.split(","):
                continue
            with serving(command, arguments.port):
                load(arguments.port, SCENARIOS[0], 1)
                for scenario in SCENARIOS:
                    if name == "toto" or not scenario.ours_only:
                        runs = results.setdefault(scenario.name, {}).setdefault(name, [])
                        runs.append(load(arguments.port, scenario, arguments.seconds))
                if name == "toto":
                    streams.append(stream_rate(arguments.port))
    return results, streams


def report(results: dict[str, dict[str, list[Figures]]], streams: list[float], command: str) -> str:
    """Return the page."""
    lines = [
        "# Benchmarks",
        "",
        "One gateway process and one worker process, the load generator on the same machine.",
        "Absolute figures change with the machine and its mood; compare the ratios of one run.",
        "",
        f"Made by `{command}` on {os.cpu_count()} cores, Python {sys.version.split()[0]}.",
        "",
    ]
    for scenario in SCENARIOS:
        rows = results.get(scenario.name, {})
        median = {
            name: [statistics.median(c) for c in zip(*[_columns(r) for r in runs], strict=True)]
            for name, runs in rows.items()
        }
        lines += [f"## {scenario.name}", "", f"{scenario.about}.", ""]
        lines += ["| server | per second | p50 ms | p99 ms | toto is |", "|---|---|---|---|---|"]
        for name, (rate, p50, p99) in sorted(median.items(), key=lambda row: -row[1][0]):
            ratio = median["toto"][0] / rate if "toto" in median else float("nan")
            lines.append(f"| {name} | {rate:,.0f} | {p50:.2f} | {p99:.2f} | {ratio:.2f}x |")
        lines.append("")
    if streams:
        lines += ["## stream", "", f"One raw stream: {statistics.median(streams):,.0f} MB/s.", ""]
    return "\n".join(lines)


def _columns(figures: Figures) -> tuple[float, float, float]:
    return figures.per_second, figures.p50_milliseconds, figures.p99_milliseconds


def main() -> int:
    """Measure, print, and write the page if asked to."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--port", type=int, default=9101)
    options.add_argument("--only", help="contenders, separated by commas")
    options.add_argument("--peers-python", type=Path, default=BENCH / "venv/bin/python")
    options.add_argument("--write", type=Path, help="write the page to this file")
    arguments = options.parse_args()
    if shutil.which("wrk") is None:
        sys.stderr.write("wrk is needed: apt-get install wrk\n")
        return 2
    results, streams = measure(arguments)
    shown = f"python bench/run.py --rounds {arguments.rounds} --seconds {arguments.seconds}"
    page = report(results, streams, shown)
    sys.stdout.write(page)
    if arguments.write:
        arguments.write.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
