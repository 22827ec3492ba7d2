"""The load runs of bench/ work; their figures are nobody's concern here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from toto_testkit.ports import free_port
from toto_testkit.redis_server import running_redis

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

ROOT = Path(__file__).resolve().parents[2]


def test_a_short_run_tells_what_sessions_cost(tmp_path: Path) -> None:
    """Every store is loaded with signed calls that are answered rightly, and nothing is left."""
    if shutil.which("wrk") is None and not os.environ.get("CI"):
        pytest.skip("wrk is not installed: apt-get install wrk")
    page = tmp_path / "benchmarks-sessions.md"
    with running_redis() as url:
        options = ["--rounds=1", "--seconds=1", f"--port={free_port()}", f"--redis-url={url}"]
        done = subprocess.run(
            [sys.executable, str(ROOT / "bench/sessions.py"), *options, f"--write={page}"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        with redis.Redis.from_url(url) as client:
            left = list(client.scan_iter("toto-bench:*"))

    assert done.returncode == 0, done.stderr
    text = page.read_text()
    for name in ("| plain:", "| redis:", "| client:", "| sqlite:"):
        assert name in text
    assert left == []


def test_a_short_load_run_writes_its_page(tmp_path: Path) -> None:
    """One round against this gateway alone gives a table for each scenario, without an error."""
    if shutil.which("wrk") is None and not os.environ.get("CI"):
        pytest.skip("wrk is not installed: apt-get install wrk")
    page = tmp_path / "benchmarks.md"
    options = ["--only=toto", "--rounds=1", "--seconds=1", f"--port={free_port()}"]

    done = subprocess.run(
        [sys.executable, str(ROOT / "bench/run.py"), *options, f"--write={page}"],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    text = page.read_text()
    for scenario in ("## small", "## one", "## large", "## batch", "## stream"):
        assert scenario in text
    assert text.count("| toto |") == 4


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("events.py polls --count 50 --rounds 1 --rate 50 --seconds 1", "callback"),
        ("events.py latency --count 50", "p99"),
        ("sockets.py --rounds 1 --seconds 0.2", "WebSocket"),
        ("streams.py slow --size 2 --rate 4", "gateway"),
        ("streams.py disconnect --count 3", "coroutine"),
    ],
)
def test_a_short_run_of_events_and_sockets_prints_its_table(command: str, shown: str) -> None:
    """Each program starts what it loads, ends it again, and tells what it saw."""
    program, *options = command.split()

    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / program), *options],
        capture_output=True,
        text=True,
        timeout=55,
    )

    assert done.returncode == 0, done.stderr
    assert shown in done.stdout
