"""A user's application written by a test, and the commands run on it until they end."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from toto_testkit.ports import free_port
from toto_testkit.processes import Command, command_path, run_to_end

ECHO = "def invoke(handler, parameters):\n    return parameters\n"


@dataclass
class WrittenApp:
    """A directory with a package ``methods`` whose only method is ``echo``, to begin with."""

    directory: Path
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.write("methods/__init__.py", "")
        self.write("methods/echo.py", ECHO)

    def write(self, name: str, text: str) -> Path:
        """Write one file of the application."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def gateway_arguments(self, *arguments: str) -> list[str]:
        """Return a command line that serves the application, with further arguments."""
        place = ["--app-dir", str(self.directory), "--port", str(self.port)]
        return [command_path("toto-gateway"), "--workers", "1", *place, *arguments]

    def run_gateway(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``toto-gateway`` with these arguments only, in the application's directory."""
        return self.run(command_path("toto-gateway"), *arguments, environment=environment)

    def run_python(
        self, code: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python -c`` in the application's directory."""
        return self.run(sys.executable, "-c", code, *arguments, environment=environment)

    def run(
        self, *command: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command that is expected to end, in the application's directory."""
        return run_to_end(command, directory=self.directory, environment=environment)

    def command(self, *command: str) -> Command:
        """Return a command to be started in the application's directory."""
        return Command(command, output_path=self.directory / "output.log", directory=self.directory)


def assert_refused(ended: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check that a command ended with this code and one sentence that has all the words."""
    said = f"code {ended.returncode}\n--- stdout\n{ended.stdout}\n--- stderr\n{ended.stderr}"
    assert ended.returncode == code, said
    assert "Traceback" not in ended.stderr, said
    missing = [word for word in words if word not in ended.stderr]
    assert not missing, f"stderr lacks {missing}; {said}"
