"""Every command and every snippet of the documentation is run, and prints what the page says.

A page is followed from its top to its end, in a folder that looks like a clone of the repository.
"""

import re
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from toto_testkit.documents import Block, ShellCommand, blocks_of, is_printed
from toto_testkit.http import fetch_status
from toto_testkit.ports import free_port
from toto_testkit.processes import REPOSITORY, Command, clean_environment, run_to_end
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

NOT_FOLLOWED = {
    "docs/options.md": "has no commands; it is written from the settings",
    "docs/benchmarks.md": "its commands take minutes and both processors",
    "docs/benchmarks-events.md": "its commands take minutes and both processors",
    "docs/benchmarks-sessions.md": "its commands take minutes and both processors",
}
DOCS = sorted(f"docs/{page.name}" for page in (REPOSITORY / "docs").glob("*.md"))
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(page for page in DOCS if page not in NOT_FOLLOWED),
)
BINARIES = Path(sys.executable).parent
CLIENT_PORT, WORKER_PORT = "8888", "5555"
CLONED = (
    "LICENSE",
    "README.md",
    "examples/chat",
    "examples/quickstart",
    "examples/toto_classic",
)
READY_SECONDS = 15.0

INSTALLS = "installs from the package index; CI installs the package before it runs the tests"
MAKES = "would make the environment of the clone anew; CI runs make itself"
NOT_RUN = {
    "make run": MAKES,
    "make test": MAKES,
    "make check": MAKES,
    "make format": MAKES,
    "make docs": MAKES,
    "make test ARGS='tests/shared/test_settings.py -x'": MAKES,
    "python3 -m venv .venv": INSTALLS,
    ".venv/bin/pip install .": INSTALLS,
    ".venv/bin/pytest tests/shared/test_settings.py": "a test session inside a test session",
    ".venv/bin/pytest tests/system/test_readme.py -k methods": "would run itself",
    "docker compose up --build --scale worker=3": "needs Docker and builds an image",
}

ONE_SHOT = {"--check-config", "--show-config", "--version", "--help"}
SERVERS = ("toto-gateway", "toto-worker", "server.py", "worker.py")


@dataclass
class Server:
    """A command of a page that goes on running, and whether it serves HTTP."""

    command: Command
    serves_clients: bool


@dataclass
class Reader:
    """Does what a page says, in a folder with what a reader has there."""

    directory: Path
    ports: dict[str, str] = field(
        default_factory=lambda: {name: str(free_port()) for name in (CLIENT_PORT, WORKER_PORT)}
    )
    servers: list[Server] = field(default_factory=list)
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.clone
        for name in CLONED:
            source, target = REPOSITORY / name, self.clone / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        # What a terminal spares its user: curl's progress meter, and a proxy on the way to itself.
        (self.directory / ".curlrc").write_text('silent\nshow-error\nnoproxy = "*"\n')

    @property
    def clone(self) -> Path:
        """The folder in which commands run until one of them is ``cd``."""
        return self.directory / "clone"

    @property
    def url(self) -> str:
        """Where the gateway of this run listens."""
        return f"http://127.0.0.1:{self.ports[CLIENT_PORT]}"

    @property
    def environment(self) -> dict[str, str]:
        """What the commands find: this interpreter's commands first."""
        path = f"{BINARIES}:{clean_environment()['PATH']}"
        return {"PATH": path, "CURL_HOME": str(self.directory), "PYTHONUNBUFFERED": "1"}

    def follow(self, block: Block) -> None:
        """Write the file or run the commands of a block."""
        if block.file_name is not None:
            file = self.clone / block.file_name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.localise(block.text))
        elif block.language == "console":
            for command in block.commands:
                self.run(command)

    def run(self, command: ShellCommand) -> None:
        """Run a command to its end, or start it if it is a server."""
        if command.text in NOT_RUN:
            return
        if command.text.startswith("cd "):
            self.folder = (self.folder / command.text.removeprefix("cd ")).resolve()
            return
        if is_server(command):
            self.serve(command)
            return
        text, expected = self.localise(command.text), self.localise(command.output)
        ended = run_to_end(
            ["/bin/sh", "-c", text], directory=self.folder, environment=self.environment
        )
        printed = ended.stderr + ended.stdout
        told = f"{command.place}: {text}\n--- printed ---\n{printed}\n--- expected ---\n{expected}"
        assert ended.returncode == 0, f"code {ended.returncode} of {told}"
        assert is_printed(expected, printed), told

    def serve(self, command: ShellCommand) -> None:
        """Start a server, the ones before it stopped if it serves clients, and wait for it."""
        words = shlex.split(self.localise(command.text).replace(".venv/bin/", ""))
        serves_clients = not words[0].endswith("toto-worker") and "worker.py" not in words
        if serves_clients:
            self.stop()
        running = Command(
            [str(BINARIES / words[0]), *words[1:]],
            output_path=self.directory / f"server-{len(list(self.directory.iterdir()))}.log",
            directory=self.folder,
            environment={**self.environment, "TOTO_PORT": self.ports[CLIENT_PORT]},
        )
        running.start()
        self.servers.append(Server(running, serves_clients))
        expected = self.localise(command.output)

        def is_up() -> bool:
            assert running.process.poll() is None, f"{command.place} ended:\n{running.output()}"
            if serves_clients:
                return "serving on http" in running.output()
            is_connected = "connected to the gateway" in running.output()
            return is_connected and fetch_status(f"{self.url}/readyz") == 200

        poll_until(is_up, READY_SECONDS, f"{command.place} is up")
        assert is_printed(expected, running.output(), whole=False), running.output()

    def stop(self) -> None:
        """Stop the servers as Ctrl-C does; workers end before their gateway."""
        while self.servers:
            running = self.servers.pop().command
            try:
                running.send_signal(signal.SIGINT)
                code = running.wait()
            finally:
                running.stop()
            assert code == 0, f"code {code}\n{running.output()}"

    def close(self) -> None:
        """Leave no process behind."""
        for server in self.servers:
            server.command.stop()

    def output(self) -> str:
        """Return what all running servers have written."""
        return "\n".join(server.command.output() for server in self.servers)

    def localise(self, text: str) -> str:
        """Put the ports of this run in the place of those in the page."""
        for name, port in self.ports.items():
            text = re.sub(rf"\b{name}\b", port, text)
        return text


def is_server(command: ShellCommand) -> bool:
    """Tell whether a command goes on running."""
    words = shlex.split(command.text)
    program = words[1] if words[0] == "python" and len(words) > 1 else words[0]
    is_one_shot = bool(ONE_SHOT & set(words)) or ";" in command.text
    return program.removeprefix(".venv/bin/") in SERVERS and not is_one_shot


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader who has just cloned the repository."""
    following = Reader(tmp_path)
    yield following
    following.close()


def page_blocks(page: str) -> list[Block]:
    return blocks_of(REPOSITORY / page)


def page_commands(page: str) -> list[ShellCommand]:
    blocks = [block for block in page_blocks(page) if block.language == "console"]
    return [command for block in blocks for command in block.commands]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(reader: Reader, page: str) -> None:
    """Each command of the page ends well and prints what stands below it."""
    try:
        for block in page_blocks(page):
            reader.follow(block)
    except BaseException as error:
        error.add_note(f"--- the servers wrote ---\n{reader.output()[-10_000:]}")
        raise
    reader.stop()


@pytest.mark.parametrize("page", PAGES)
def test_every_snippet_is_a_file_that_is_used(page: str) -> None:
    """A snippet has the name of its file, and a later command runs it, reads it or calls it."""
    blocks = page_blocks(page)
    for position, block in enumerate(blocks):
        if block.language not in ("python", "toml"):
            continue
        assert block.file_name, f"{page}:{block.line} does not say which file it is"
        later = [each.text for rest in blocks[position:] for each in commands_in(rest)]
        names = names_of(block.file_name)
        assert any(name in text for text in later for name in names), (
            f"{page}:{block.line}: nothing uses {block.file_name}"
        )


def commands_in(block: Block) -> list[ShellCommand]:
    return block.commands if block.language == "console" else []


def names_of(file_name: str) -> list[str]:
    """Return how commands name a file: a method's name, as it stands in a body or a URL."""
    _, is_method, rest = file_name.partition("methods/")
    if not is_method:
        module = Path(file_name).stem
        return [file_name, f"--startup-function {module}.", f"--event-init-module {module}"]
    name = rest.removesuffix("/__init__.py").removesuffix(".py")
    return [f'"{name.replace("/", ".")}"', f"{CLIENT_PORT}/{name}"]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_kind_that_is_checked(page: str) -> None:
    """A block is run, is a file, or is plain text without a command in it."""
    for block in page_blocks(page):
        place = f"{page}:{block.line}"
        assert block.language in ("console", "python", "toml", "text"), place
        assert block.language != "text" or not re.search(r"^\$ ", block.text, re.M), place


def test_what_is_not_run_stands_in_a_page() -> None:
    """The list of exceptions holds nothing that no page says any more."""
    said = {command.text for page in PAGES for command in page_commands(page)}

    assert set(NOT_RUN) - said == set()
