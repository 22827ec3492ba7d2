"""The method root. Whoever imports it is a worker, and says so to the test."""

import os
from pathlib import Path

import toto.methods.client_error as client_error

__all__ = ["client_error"]

if directory := os.environ.get("TEST_APP_PIDS"):
    (Path(directory) / str(os.getpid())).touch()
