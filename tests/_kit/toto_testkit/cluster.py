"""A gateway with its local workers, started by the real command."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from toto._core.settings import options_of
from toto._core.stores.settings import StoreSettings
from toto_testkit.formats import JSON, Format, toml_text
from toto_testkit.http import RawConnection, Response, fetch
from toto_testkit.ports import free_port, holders
from toto_testkit.process_tree import descendant_pids
from toto_testkit.processes import MAY_COMPILE, REPOSITORY, Command, command_path
from toto_testkit.waiting import poll_until

TEST_APP_DIRECTORY = REPOSITORY / "tests" / "_kit"
TEST_METHODS = "toto_test_app.methods"
STORE_OPTIONS = {option.name for option in options_of(StoreSettings)}
PIDS_VARIABLE = "TEST_APP_PIDS"  # the sample methods write the ids of their workers there


@dataclass
class Cluster:
    """A context manager: started and ready inside the ``with`` block, gone after it.

    Args:
        directory: where its files go: the conf file, the output, the workers' ids.
        options: written to the conf file, under the names of the contract.
        arguments: further command line arguments.
        ready_path: what must answer 200 before tests begin.
    """

    directory: Path
    workers: int = 2
    options: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_path: str = "/readyz"
    port: int = field(default_factory=free_port)
    command: Command = field(init=False)

    def __post_init__(self) -> None:
        self.pids_directory.mkdir()
        conf = self.directory / "gw.conf"
        conf.write_text(toml_text({**self._database(), **self.options}))
        self.command = Command(
            [
                command_path("toto-gateway"),
                *("--conf", str(conf)),
                *("--port", str(self.port)),
                *("--workers", str(self.workers)),
                *("--app-dir", str(TEST_APP_DIRECTORY)),
                *("--method-module", TEST_METHODS),
                *self.arguments,
            ],
            output_path=self.directory / "output.log",
            environment={
                PIDS_VARIABLE: str(self.pids_directory),
                **MAY_COMPILE,
                **self.environment,
            },
        )

    def __enter__(self) -> Self:
        self.command.start()
        try:
            self.command.wait_ready(f"{self.url}{self.ready_path}")
        except BaseException as error:
            self.command.stop()
            error.add_note(f"--- the gateway wrote ---\n{self.output()}")
            raise
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.command.stop()

    def _database(self) -> Mapping[str, str]:
        # Most tests know no users; without a database a cluster starts in half the time.
        is_wanted = any(name in STORE_OPTIONS for name in self.options)
        return {} if is_wanted or self.environment or self.arguments else {"database": "none"}

    @property
    def url(self) -> str:
        """Where the gateway listens, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pids_directory(self) -> Path:
        """Where every process that imports the sample methods leaves a file."""
        return self.directory / "pids"

    @property
    def pid(self) -> int:
        """The id of the supervisor."""
        return self.command.pid

    def worker_pids(self) -> set[int]:
        """The living processes of this cluster that have imported the sample methods."""
        imported = {int(path.name) for path in self.pids_directory.iterdir()}
        return imported & descendant_pids(self.pid)

    def gateway_pids(self) -> set[int]:
        """The processes below the supervisor that hold the listening socket."""
        return holders(self.port, descendant_pids(self.pid)) - self.worker_pids()

    def wait_for_workers(self, count: int) -> set[int]:
        """Wait until exactly so many workers live, and return their ids."""
        poll_until(lambda: len(self.worker_pids()) == count, 15.0, f"{count} workers live")
        return self.worker_pids()

    def output(self) -> str:
        """All that the gateway and its workers have written so far."""
        return self.command.output()

    def connect(self, **options: Any) -> RawConnection:
        """Open a connection for byte-level work."""
        return RawConnection(self.port, **options)

    def send(
        self,
        verb: str,
        target: str = "/",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float = 15.0,
    ) -> Response:
        """Send any request."""
        return fetch(self.url + target, verb, body, headers, timeout_seconds)

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Response:
        """Send a GET."""
        return self.send("GET", target, headers)

    def post(
        self,
        value: Any,
        target: str = "/",
        headers: Mapping[str, str] | None = None,
        body_format: Format = JSON,
    ) -> Response:
        """Send a value in the given format, with its content type."""
        all_headers = {"Content-Type": body_format.content_type, **(headers or {})}
        return self.send("POST", target, all_headers, body_format.dumps(value))

    def call(
        self, method: str, parameters: Any = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Call a method by a JSON request."""
        given = {} if parameters is None else parameters
        return self.post({"method": method, "parameters": given}, headers=headers)

    def batch(self, members: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Any:
        """Send a batch and return its entries; the request itself must not fail."""
        response = self.post({"batch": members}, headers=headers)
        assert response.status == 200, response
        return response.json()["batch"]


def member(method: str, **parameters: Any) -> dict[str, Any]:
    """Return one member of a batch."""
    return {"method": method, "parameters": parameters}
