"""What a test left behind: threads, child processes, sockets and pipes of the test process."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from toto_testkit.process_tree import child_pids, open_files
from toto_testkit.waiting import poll_until

WATCHED = ("socket:", "pipe:", "anon_inode:")


@dataclass(frozen=True)
class Resources:
    """What the test process holds at one moment."""

    threads: frozenset[str]
    children: frozenset[str]
    files: frozenset[str]

    def beyond(self, earlier: "Resources") -> list[str]:
        """Name what is here and was not there before."""
        extra = (self.threads - earlier.threads) | (self.children - earlier.children)
        return sorted(extra | (self.files - earlier.files))


def resources() -> Resources:
    """Look at the test process now."""
    watched = {
        f"descriptor {number} {target}"
        for number, target in open_files(os.getpid()).items()
        if target.startswith(WATCHED)
    }
    return Resources(
        threads=frozenset(f"thread {t.name} {t.ident}" for t in threading.enumerate()),
        children=frozenset(f"child process {pid}" for pid in child_pids(os.getpid())),
        files=frozenset(watched),
    )


@contextmanager
def leaving_nothing(deadline_seconds: float = 5.0) -> Iterator[None]:
    """Fail if something begun inside the block outlives it by more than the deadline."""
    before = resources()
    yield
    extra: list[str] = []

    def is_clean() -> bool:
        extra[:] = resources().beyond(before)
        return not extra

    try:
        poll_until(is_clean, deadline_seconds)
    except AssertionError:
        raise AssertionError(f"left behind: {', '.join(extra)}") from None
