"""The example application in Toto's style, served by its own scripts or by the commands."""

import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from toto_testkit.cluster import Cluster
from toto_testkit.ports import free_port
from toto_testkit.processes import REPOSITORY, Command, command_path

CLASSIC = REPOSITORY / "examples" / "toto_classic"
WAYS = ("toto-gateway", "server.py", "server.py and worker.py")


@dataclass
class ClassicApp(Cluster):
    """A cluster of a copy of the example, so that its database file is thrown away.

    Args:
        way: which commands serve it, one of ``WAYS``.
    """

    way: str = WAYS[0]
    commands: list[Command] = field(default_factory=list, init=False)
    _running: ExitStack = field(default_factory=ExitStack, init=False)

    def __post_init__(self) -> None:
        app = self.directory / "app"
        shutil.copytree(CLASSIC, app)
        address = f"tcp://127.0.0.1:{free_port()}"
        has_own_workers = self.way != WAYS[2]
        gateway = [
            *self._gateway(),
            *("--port", str(self.port)),
            *("--worker-address", address),
            *("--workers", str(self.workers if has_own_workers else 0)),
            *self.arguments,
        ]
        self._add("gateway", gateway)
        if not has_own_workers:
            worker = [sys.executable, "worker.py", "--connect", address]
            self._add("worker", [*worker, "--workers", str(self.workers)])
        self.command = self.commands[0]

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            for command in self.commands:
                starting.enter_context(command)
            self.command.wait_ready(f"{self.url}{self.ready_path}")
            self._running = starting.pop_all()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._running.__exit__(error_type, error, traceback)

    def output(self) -> str:
        """All that the commands have written so far."""
        return "".join(command.output() for command in self.commands)

    def _gateway(self) -> list[str]:
        if self.way == WAYS[0]:
            return [command_path("toto-gateway"), "--conf", "settings.conf"]
        return [sys.executable, "server.py"]

    def _add(self, name: str, arguments: list[str]) -> None:
        output = self.directory / f"{name}.log"
        self.commands.append(Command(arguments, output, directory=self.directory / "app"))
