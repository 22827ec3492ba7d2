"""The gateway and its workers as processes of a load run, and what they take."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from run import BENCH, wait_until_right

__all__ = ["Cluster", "Memory", "Process", "bounded", "cluster", "running", "show"]

STOP_SECONDS = 15.0
START_SECONDS = 15.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Memory:
    """Of one process."""

    rss_kib: int
    pss_kib: int
    """Pages that processes share count in parts: the supervisor and its child share the code."""


@dataclass(frozen=True)
class Process:
    """A gateway or a worker: the child that works, not the supervisor that started it."""

    name: str
    pid: int

    def memory(self) -> Memory:
        """Return what it takes now."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        sizes = {line.split(":")[0]: line.split()[1] for line in lines[1:]}
        return Memory(int(sizes["Rss"]), int(sizes["Pss"]))

    def cpu_seconds(self) -> float:
        """Return what it has computed so far, to a hundredth."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


@dataclass(frozen=True)
class Cluster:
    """One gateway process and its workers, started apart."""

    port: int
    gateway: Process
    workers: tuple[Process, ...]


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """End the program, and what it has started, when the block takes longer."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(f"not ready after {seconds:.0f} s")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def cluster(
    *, gateway: tuple[str, ...] = (), workers: tuple[tuple[str, ...], ...] = ((),)
) -> Iterator[Cluster]:
    """Run a gateway and, for each tuple of further options, a worker that dials it alone."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = f"ipc://{folder / 'gateway.sock'}"
        port = _free_port()
        arguments = (
            *("--host=127.0.0.1", f"--port={port}", "--workers=0", f"--worker-address={address}"),
            *("--database=none", "--log-level=warning", *gateway),
        )
        front = stack.enter_context(running("toto-gateway", arguments))
        common = (f"--connect={address}", f"--app-dir={BENCH}", "--database=none")
        behind = [
            stack.enter_context(running("toto-worker", (*common, "--log-level=warning", *options)))
            for options in workers
        ]
        wait_until_right(port)
        yield Cluster(port, front, tuple(behind))


@contextmanager
def running(command: str, arguments: tuple[str, ...]) -> Iterator[Process]:
    """Run one of the two commands until the block ends."""
    path = Path(sys.executable).parent / command
    environment = {name: text for name, text in os.environ.items() if not name.startswith("TOTO_")}
    environment.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    supervisor = subprocess.Popen([path, *arguments], env=environment, start_new_session=True)
    try:
        yield Process(command.removeprefix("toto-"), _child_of(supervisor))
    finally:
        supervisor.send_signal(signal.SIGTERM)
        try:
            supervisor.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(supervisor.pid, signal.SIGKILL)
            supervisor.wait()


def _child_of(supervisor: "subprocess.Popen[bytes]") -> int:
    path = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children")
    end = time.monotonic() + START_SECONDS
    while not (children := path.read_text().split()):
        if supervisor.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"no process below {supervisor.args!r}")
        time.sleep(0.05)
    return int(children[0])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def show(title: str, *rows: tuple[object, ...]) -> None:
    """Print a table; the first row is its head, and numbers with a fraction get two digits."""
    print(f"\n{title}\n")
    for place, cells in enumerate(rows):
        texts = [f"{cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in cells]
        print(f"| {' | '.join(texts)} |")
        if place == 0:
            print("|" + "---|" * len(cells))
    sys.stdout.flush()
