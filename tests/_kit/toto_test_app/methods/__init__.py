"""The method root. Whoever imports it is a worker, and says so to the test."""

import os
from pathlib import Path

if directory := os.environ.get("TEST_APP_PIDS"):
    (Path(directory) / str(os.getpid())).touch()
