"""The real ``toto-gateway`` command for the length of a test, and a small client for it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from toto.exceptions import TotoException

__all__ = ["GatewayResponse", "RunningGateway", "running_gateway"]

POLL_SECONDS = 0.02
STOP_SECONDS = 10.0
SHOWN_CHARACTERS = 8000
"""Of the output, at its end: what a failed test shows."""
_SERVING = re.compile(r"serving on http://[^ \"]*?:(\d+)")


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """One HTTP response."""

    status: int
    headers: Message
    """By name in any case; ``get_all(name)`` gives all of one name."""
    body: bytes

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)


class RunningGateway:
    """A gateway that serves; ``running_gateway`` makes one."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", output_path: Path, root: str, port: int
    ) -> None:
        self._process = process
        self._output_path = output_path
        self._root = "/" + root.strip("/")
        self.port = port
        """The TCP port on 127.0.0.1."""

    def __repr__(self) -> str:
        return f"RunningGateway(url={self.url!r})"

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end and without the option ``root``."""
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        """Return all that the gateway and its workers have written so far."""
        return self._output_path.read_text(errors="replace")

    def call(
        self,
        method: str,
        parameters: Any = None,
        session_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Call a method and return its result.

        Args:
            method: its name, such as ``"orders.place"``.
            parameters: what JSON can carry.
            session_id: of a session, as a login gives it.
            headers: further ones of the request.

        Returns:
            The result; of a generator the list of its items, and of a raw response the bytes.

        Raises:
            TotoException: the call was answered with an error, with its code and value.
        """
        body = {"method": method, "parameters": {} if parameters is None else parameters}
        path = f"{self._root.rstrip('/')}/{quote(method.replace('.', '/'))}"
        response = self.request("POST", path, body, _with_session(headers, session_id))
        content_type = response.headers.get_content_type()
        if content_type == "application/x-ndjson":
            lines = [json.loads(line) for line in response.body.splitlines()]
            return [_result_of(line) for line in lines if "end" not in line]
        return _result_of(response.json()) if content_type == "application/json" else response.body

    def batch(
        self,
        members: Mapping[str, Any],
        session_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Call several methods in one request.

        Args:
            members: by key a pair of method and parameters, or a dictionary that has both.
            session_id: of a session, as a login gives it.
            headers: further ones of the request.

        Returns:
            By key a dictionary with ``result`` or ``error``.

        Raises:
            TotoException: the whole request was refused.
        """
        batch = {
            key: member
            if isinstance(member, Mapping)
            else {"method": member[0], "parameters": member[1]}
            for key, member in members.items()
        }
        sent = _with_session(headers, session_id)
        envelope = self.request("POST", self._root, {"batch": batch}, sent).json()
        if "error" in envelope:
            _result_of(envelope)
        answers: dict[str, Any] = envelope["batch"]
        return answers

    def request(
        self,
        verb: str,
        path: str = "/",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 30.0,
    ) -> GatewayResponse:
        """Send any request and read the whole response.

        Args:
            verb: such as ``GET``.
            path: path and query.
            body: bytes as they are; any other value becomes JSON, with its content type.
            headers: of the request.
            timeout_seconds: how long the gateway may be silent.
        """
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            if "content-type" not in {name.lower() for name in sent}:
                sent["Content-Type"] = "application/json"
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout_seconds)
        try:
            connection.request(verb, path, body, sent)
            response = connection.getresponse()
            return GatewayResponse(response.status, response.headers, response.read())
        finally:
            connection.close()

    def wait_ready(self, timeout_seconds: float) -> None:
        """Wait until the gateway has workers.

        Raises:
            RuntimeError: it has ended.
            TimeoutError: it takes too long.
        """
        until = time.monotonic() + timeout_seconds
        while not self._is_ready():
            code = self._process.poll()
            if code is not None:
                text = f"toto-gateway ended with code {code} before it was ready"
                raise RuntimeError(f"{text}. It wrote:\n{self.output()}")
            if time.monotonic() > until:
                text = f"toto-gateway was not ready after {timeout_seconds:g} s"
                raise TimeoutError(f"{text}. It wrote:\n{self.output()}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop the gateway and its workers; harmless twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # the group was made for it
        self._process.wait()

    def _is_ready(self) -> bool:
        if not self.port:
            serving = _SERVING.search(self.output())
            self.port = int(serving[1]) if serving else 0
        if not self.port:
            return False
        try:
            return self.request("GET", "/readyz", timeout_seconds=2.0).status == 200
        except (OSError, HTTPException):
            return False


@contextmanager
def running_gateway(
    methods: str,
    *,
    app_dir: str | os.PathLike[str] = ".",
    workers: int = 1,
    conf: str | os.PathLike[str] | None = None,
    start_seconds: float = 30.0,
    **options: Any,
) -> Iterator[RunningGateway]:
    """Run ``toto-gateway`` with local workers for a ``with`` block.

    It listens on a free port of 127.0.0.1, and keeps accounts and sessions in a file of its own,
    unless options say otherwise. ``TOTO_*`` variables of the test's environment do not reach it.
    An exception that leaves the block carries what the gateway and its workers have written.

        with running_gateway("shop.methods", threads=4, request_timeout=5) as gateway:
            assert gateway.call("echo", {"a": 1}) == {"a": 1}

    Args:
        methods: the package of the methods.
        app_dir: the folder that holds it.
        workers: how many worker processes.
        conf: a conf file.
        start_seconds: how long the start may take.
        options: further options of ``toto-gateway`` by name; they precede the conf file.

    Raises:
        RuntimeError: the gateway does not start; the message has its output.
        TimeoutError: it takes too long to start; the same.
    """
    with tempfile.TemporaryDirectory(prefix="toto-test-") as directory:
        given = {"host": "127.0.0.1", "port": 0, "log_level": "info", **options}
        given |= {"method_module": methods, "app_dir": os.path.abspath(app_dir)}
        given |= {"workers": workers}
        if not given["port"] and given["log_level"] not in ("info", "debug"):
            given["port"] = _free_port()  # the line that tells the port would not be written
        if conf is None:
            given.setdefault("sqlite_path", f"{directory}/toto.db")
        output_path = Path(directory, "output.log")
        process = _start(given, conf, output_path)
        gateway = RunningGateway(process, output_path, str(given.get("root", "/")), given["port"])
        try:
            gateway.wait_ready(start_seconds)
            yield gateway
        except BaseException as error:
            if not isinstance(error, GeneratorExit):
                error.add_note(f"toto-gateway wrote:\n{gateway.output()[-SHOWN_CHARACTERS:]}")
            raise
        finally:
            gateway.stop()


def _start(
    options: Mapping[str, Any], conf: str | os.PathLike[str] | None, output_path: Path
) -> "subprocess.Popen[bytes]":
    # By the environment, since everybody on the host can read a command line.
    environment = {key: text for key, text in os.environ.items() if not key.startswith("TOTO_")}
    environment |= {f"TOTO_{name.upper()}": _text(value) for name, value in options.items()}
    # -P: the current folder must not come before the installed packages on the import path.
    command = [sys.executable, "-P", "-m", "toto_gateway"]
    with output_path.open("wb") as output:
        return subprocess.Popen(  # noqa: S603  # our own command
            command if conf is None else [*command, "--conf", os.fspath(conf)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(str(each) for each in value)
    return str(value)


def _with_session(headers: Mapping[str, str] | None, session_id: str | None) -> dict[str, str]:
    sent = dict(headers or {})
    return sent if session_id is None else {**sent, "x-toto-session-id": session_id}


def _result_of(envelope: Mapping[str, Any]) -> Any:
    error = envelope.get("error")
    if error is not None:
        raise TotoException(error["code"], error["value"])
    return envelope["result"]
