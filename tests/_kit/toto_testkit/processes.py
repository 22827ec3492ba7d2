"""The product's commands as processes of their own process group.

Only processes started here are ever ended: by the id of the group that was made for them.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from toto_testkit.http import fetch_status
from toto_testkit.waiting import poll_until

REPOSITORY = Path(__file__).resolve().parents[3]
BYTECODE_VARIABLE = "TEST_BYTECODE_FOLDER"
"""Where commands keep what they have compiled: the tree stays clean of it."""
MAY_COMPILE = {"PYTHONDONTWRITEBYTECODE": ""}
"""For commands that run nothing but code of the repository. A file that a test has just written
may be written again within the same second, and would be taken for the one that was compiled."""


def command_path(name: str) -> str:
    """Return the path of a command installed beside the running interpreter."""
    return str(Path(sys.executable).parent / name)


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without settings of the product, plus the given."""
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("TOTO_")}
    compiled = {"PYTHONDONTWRITEBYTECODE": "1", **(extra or {})}
    folder = inherited.get(BYTECODE_VARIABLE)
    if not folder:
        compiled["PYTHONDONTWRITEBYTECODE"] = "1"
    elif not compiled["PYTHONDONTWRITEBYTECODE"] or any(Path(folder).iterdir()):
        # While the folder is empty, libraries are read faster from where they were installed.
        compiled["PYTHONPYCACHEPREFIX"] = folder
    return {**inherited, **compiled}


def run_to_end(
    arguments: Sequence[str],
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    deadline_seconds: float = 20.0,
) -> subprocess.CompletedProcess[str]:
    """Run a command that is expected to end by itself, and return its code and output."""
    process = subprocess.Popen(
        arguments,
        cwd=directory,
        env=clean_environment(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            output, errors = process.communicate(timeout=deadline_seconds)
        except subprocess.TimeoutExpired:
            kill_group(process.pid)
            output, errors = process.communicate()
            complaint = f"{arguments} did not end within {deadline_seconds} s"
            raise AssertionError(f"{complaint}\n{output}\n{errors}") from None
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def kill_group(group: int) -> None:
    """End every process of a group at once; nothing happens when none is left."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


@dataclass
class Command:
    """One running command: a context manager that leaves no process behind.

    An error raised inside the ``with`` block carries the command's output as a note.
    """

    arguments: Sequence[str]
    output_path: Path
    directory: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if error is not None:
            error.add_note(f"--- {self.arguments[0]} wrote ---\n{self.output()}")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process; an error when the command was not started."""
        if self._process is None:
            raise AssertionError("start the command first")
        return self._process

    @property
    def pid(self) -> int:
        """The id of the command's first process, a supervisor."""
        return self.process.pid

    def start(self) -> None:
        """Start the command; its output goes to the file."""
        with self.output_path.open("ab") as output:
            self._process = subprocess.Popen(
                self.arguments,
                cwd=self.directory,
                env=clean_environment(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        """Return all the command has written so far."""
        return self.output_path.read_text(errors="replace") if self.output_path.exists() else ""

    def wait_ready(self, url: str, deadline_seconds: float = 15.0) -> None:
        """Wait until the URL answers 200; fail at once if the command ends before."""

        def is_ready() -> bool:
            code = self.process.poll()
            if code is not None:
                raise AssertionError(f"ended with code {code} before {url} answered")
            return fetch_status(url) == 200

        poll_until(is_ready, deadline_seconds, f"{url} answers 200")

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the command's first process only."""
        self.process.send_signal(number)

    def wait(self, deadline_seconds: float = 15.0) -> int:
        """Wait for the command to end and return its exit code."""
        try:
            return self.process.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {deadline_seconds} s") from None

    def stop(self, deadline_seconds: float = 10.0) -> None:
        """Ask the command to end, then kill what is left of its group; harmless twice."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(deadline_seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        kill_group(self._process.pid)
        self._process.wait(deadline_seconds)
