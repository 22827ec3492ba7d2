"""Who descends from whom and what they hold open, read from /proc."""

import contextlib
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
    if not Path(f"/proc/{pid}/task/{pid}/children").exists():  # no such process, or another kernel
        return {child for child, parent in _parents().items() if parent == pid}
    before, found = None, _listed_children(pid)
    while found != before:  # while one ends, the kernel may leave out another (proc(5))
        before, found = found, _listed_children(pid)
    return {child for child in found if _parent_of(child) is not None}


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


def _listed_children(pid: int) -> set[int]:
    """Return the children that the kernel lists, in a tenth of the time that all processes take."""
    lists = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread has ended
            lists.append(path.read_text())
    return {int(child) for child in " ".join(lists).split()}


def _parent_of(pid: int) -> int | None:
    """Return the parent of a living process."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent = status.rpartition(")")[2].split()[:2]
    return None if state in GONE else int(parent)


def _parents() -> dict[int, int]:
    """Map every living process to its parent."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    found = ((pid, _parent_of(pid)) for pid in pids)
    return {pid: parent for pid, parent in found if parent is not None}
