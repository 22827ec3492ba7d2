"""What the fixtures of ``tests/conftest.py`` hand to tests, under names tests can import."""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toto_testkit.cluster import Cluster
from toto_testkit.ports import free_port
from toto_testkit.waiting import poll_until

InBackground = Callable[..., Future[Any]]
MakeDirectory = Callable[[], Path]


@dataclass
class MakeCluster:
    """Start clusters with options of their own; the stack stops them."""

    stack: ExitStack
    make_directory: MakeDirectory
    started: list[Cluster] = field(default_factory=list)

    def __call__(
        self,
        *,
        workers: int = 2,
        arguments: tuple[str, ...] = (),
        ready_path: str = "/readyz",
        port: int | None = None,
        **options: Any,
    ) -> Cluster:
        """Start a cluster whose workers have one thread each unless told otherwise."""
        cluster = Cluster(
            self.make_directory(),
            workers=workers,
            arguments=arguments,
            ready_path=ready_path,
            port=port or free_port(),
            options={"threads": 1, "request_timeout": 10.0, **options},
        )
        self.started.append(cluster)
        return self.stack.enter_context(cluster)


@dataclass(frozen=True)
class Gate:
    """Calls of the method ``gate``: each tells when it has started and waits to be let through."""

    directory: Path

    def parameters(self, name: str = "call") -> dict[str, str]:
        """Return the parameters of one call."""
        return {
            "started": str(self.directory / f"{name}.started"),
            "closed": str(self.directory / f"{name}.closed"),
            "release": str(self.directory / "release"),
        }

    def wait_started(self, name: str = "call") -> int:
        """Wait until that call runs, and return the id of its worker."""
        started = self.directory / f"{name}.started"
        poll_until(started.exists, message=f"the call {name} starts")
        return int(started.read_text())

    def started(self) -> int:
        """Count the calls that have begun."""
        return len(list(self.directory.glob("*.started")))

    def is_closed(self, name: str = "call") -> bool:
        """Tell whether that call has learnt that its client went away."""
        return (self.directory / f"{name}.closed").exists()

    def open(self) -> None:
        """Let every call through."""
        (self.directory / "release").touch()
