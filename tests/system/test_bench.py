"""The load runs of bench/ work; their figures are nobody's concern here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toto_testkit.ports import free_port

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

ROOT = Path(__file__).resolve().parents[2]


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
