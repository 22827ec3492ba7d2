"""The test's side of `toto_testkit.supervised`: start the tree of processes, watch it, clean up."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toto_testkit.waiting import poll_until

KIT_FOLDER = Path(__file__).resolve().parents[1]


class SupervisedTree:
    """A supervisor in a process group of its own, and its children as their journal tells."""

    def __init__(self, folder: Path, *children: str, graceful_seconds: float = 20.0) -> None:
        self._journal = folder / "journal"
        self._journal.touch()
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "toto_testkit.supervised", str(self._journal)),
                    *children,
                    *("--graceful-seconds", str(graceful_seconds)),
                ],
                env={**os.environ, "PYTHONPATH": str(KIT_FOLDER)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        """The supervisor's pid."""
        return self._process.pid

    @property
    def log(self) -> str:
        """All that the processes have written."""
        return self._log.read_text()

    def events(self) -> list[str]:
        """Return "NAME EVENT" for every line of the journal."""
        return [line.rpartition(" ")[0] for line in self._lines()]

    def pids(self, event: str) -> list[int]:
        """Return who noted "NAME EVENT", oldest first."""
        return [int(line.split()[2]) for line in self._lines() if line.startswith(f"{event} ")]

    def wait_for(self, event: str, count: int = 1) -> list[int]:
        """Wait until "NAME EVENT" was noted so often; return who did."""

        def enough() -> list[int]:
            pids = self.pids(event)
            return pids if len(pids) >= count else []

        return poll_until(enough, 20.0, f"{event}, {count} times, in {self.events()}")

    def wait_for_log(self, text: str) -> None:
        """Wait until a text was logged."""
        poll_until(lambda: text in self.log, 20.0, text)

    def send(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        self._process.send_signal(number)

    def exit_code(self) -> int:
        """Wait for the supervisor to end."""
        return self._process.wait(20.0)

    def living(self) -> list[int]:
        """Return the pids of the journal that are this tree's and run; zombies do not."""
        pids = {int(line.split()[2]) for line in self._lines()}
        return sorted(pid for pid in pids if self._is_ours(pid))

    def close(self) -> None:
        """Kill what still runs."""
        self._process.kill()
        self._process.wait()
        for pid in self.living():
            os.kill(pid, signal.SIGKILL)

    def _lines(self) -> list[str]:
        return self._journal.read_text().splitlines()

    def _is_ours(self, pid: int) -> bool:
        try:
            return os.fsencode(self._journal) in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return False


@contextmanager
def supervised_tree(
    folder: Path, *children: str, graceful_seconds: float = 20.0
) -> Iterator[SupervisedTree]:
    """Run a tree of processes for the length of a test."""
    tree = SupervisedTree(folder, *children, graceful_seconds=graceful_seconds)
    try:
        yield tree
    finally:
        tree.close()
