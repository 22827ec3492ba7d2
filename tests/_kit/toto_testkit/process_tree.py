"""Who descends from whom and what they hold open, read from /proc."""

import os
from pathlib import Path

GONE = {"Z", "X"}  # states of a process that has ended but was not waited for


def descendant_pids(pid: int) -> set[int]:
    """Return the living children of a process, their children and so on."""
    parents = _parents()
    found: set[int] = set()
    generation = {pid}
    while generation:
        generation = {child for child, parent in parents.items() if parent in generation} - found
        found |= generation
    return found


def child_pids(pid: int) -> set[int]:
    """Return the living children of a process."""
    return {child for child, parent in _parents().items() if parent == pid}


def is_alive(pid: int) -> bool:
    """Tell whether the process exists and has not ended."""
    return pid in _parents()


def open_files(pid: int) -> dict[int, str]:
    """Return what each file descriptor of a process leads to; nothing if it is gone."""
    found = {}
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                found[int(entry.name)] = os.readlink(entry.path)
            except OSError:
                continue  # closed while we looked, such as the one of this very listing
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return found


def _parents() -> dict[int, int]:
    """Map every living process to its parent."""
    parents = {}
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            status = (directory / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, parent = status.rpartition(")")[2].split()[:2]
        if state not in GONE:
            parents[int(directory.name)] = int(parent)
    return parents
