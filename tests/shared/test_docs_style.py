"""The pages: their links, their tables against the code, and what they must not hold."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from toto import exceptions
from toto._core.failure import status_of
from toto._core.formats.envelope import KEY_LENGTH_MAX
from toto._core.formats.limits import FORM_FIELDS_MAX, DecodeLimits
from toto._core.parameters import PARTS_MAX
from toto._core.settings import options_of
from toto._wire.constants import METHOD_NAME_LENGTH_MAX, RESPONSE_BYTES_MAX, STREAM_WINDOW_BYTES
from toto_gateway.dispatch.scheduler import QUEUE_BASE, QUEUE_PER_SLOT
from toto_gateway.server import OTHER_DESCRIPTORS
from toto_gateway.settings import GatewaySettings
from toto_gateway.streaming.response import PATIENCE_SECONDS
from toto_testkit.documents import Block, ShellCommand, blocks_of, is_printed
from toto_testkit.processes import REPOSITORY
from toto_worker.answers import HEAD_BYTES_MAX
from toto_worker.settings import WorkerSettings

README = REPOSITORY / "README.md"
DOCS = REPOSITORY / "docs"
GENERATED = {"options.md", "benchmarks.md", "benchmarks-sessions.md"}  # other commands write these
WRITTEN = [
    README,
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "CHANGELOG.md",
    *sorted(page for page in DOCS.glob("*.md") if page.name not in GENERATED),
]
README_LINES_MAX = 400
PROSE_WIDTH_MAX = 110
FOREIGN = re.compile(r"/(?:work|root|home)/|localhost:(?!8888)\d", re.IGNORECASE)
MARKETING = re.compile(
    r"\b(?:blazing|lightning|powerful|seamless|robust|effortless|cutting-edge|world-class|"
    r"state-of-the-art|simply|easily|just works|enterprise|ultra|magic)\w*\b",
    re.IGNORECASE,
)
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
COMMON_OPTIONS = {
    "--conf",
    "--check-config",
    "--show-config",
    "--generate-keys",
    "--version",
    "--help",
}


def page_id(page: Path) -> str:
    return page.name


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}


def rows(page: Path, first_cell: str) -> dict[str, list[str]]:
    """Return the rows of the page's table whose head begins with that cell, by first cell."""
    _, _, rest = page.read_text().partition(f"\n| {first_cell} |")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip(): row[1:] for row in cells}


@pytest.mark.parametrize("page", WRITTEN, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file of the repository, and a heading in it if it has an anchor."""
    for target, anchor in LINK.findall(page.read_text()):
        if "://" in target or Path(target).name in GENERATED:
            continue
        file = page.parent / target if target else page
        assert file.is_file(), f"{page.name} links to {target}"
        if anchor:
            assert anchor[1:] in anchors(file), f"{page.name} links to {target}{anchor}"


@pytest.mark.parametrize("page", WRITTEN, ids=page_id)
def test_pages_are_for_their_readers(page: Path) -> None:
    """No path of somebody's machine, no advertising, lines that fit."""
    text = page.read_text()

    assert not FOREIGN.search(text)
    assert not MARKETING.search(text)
    assert text.endswith("\n")
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    wide = [line for line in prose(page).splitlines() if len(line) > PROSE_WIDTH_MAX]
    assert [line for line in wide if not line.startswith(("|", "- ["))] == []


def test_the_readme_is_short() -> None:
    """One can read it in one go."""
    assert len(README.read_text().splitlines()) <= README_LINES_MAX


def test_every_error_code_is_told_with_its_status() -> None:
    """The table of docs/http.md has each code, its name and both statuses."""
    table = rows(DOCS / "http.md", "code")
    names = {name for name in exceptions.__all__ if name.startswith("ERROR_")}

    told = {cells[0].strip("`"): (int(code), cells[1]) for code, cells in table.items()}

    assert set(told) == names
    for name, (code, statuses) in told.items():
        assert code == getattr(exceptions, name)
        if statuses != "-":
            both = {status_of(code, http_statuses=mapped) for mapped in (False, True)}
            assert {int(status) for status in statuses.split(",")} == both, name


def test_the_limits_are_those_of_the_code() -> None:
    """The table of docs/http.md tells the numbers that the gateway has."""
    table = {what: cells[0] for what, cells in rows(DOCS / "http.md", "what").items()}
    defaults, limits = GatewaySettings(), DecodeLimits()

    assert table == {
        "body": f"{defaults.max_body_size // 2**20} MiB, `max_body_size`",
        "request line and headers": "16 KiB",
        "values in a body, depth": f"{limits.nodes_max:,} values, {limits.depth_max} levels",
        "fields of a form or query": f"{FORM_FIELDS_MAX}",
        "parts of a multipart body": f"{PARTS_MAX}",
        "members of a batch": f"{defaults.batch_max}, `batch_max`",
        "key of a batch member": f"{KEY_LENGTH_MAX} characters",
        "name of a method": f"{METHOD_NAME_LENGTH_MAX} characters",
        "time of a call, waiting included": f"{defaults.request_timeout:g} s, `request_timeout`",
        "calls that wait": (
            f"{QUEUE_BASE}, and {QUEUE_PER_SLOT} for each worker slot, `queue_max`"
        ),
        "result in one piece, or all results of a batch": f"{RESPONSE_BYTES_MAX // 2**20} MiB",
        "headers that a method sets": f"{HEAD_BYTES_MAX // 1024} KiB",
        "time a client takes nothing of a stream": f"{PATIENCE_SECONDS:g} s",
        "connections of a gateway process": f"its file descriptors, less {OTHER_DESCRIPTORS}",
        "time to send a body": "300 s",
        "time between requests of a connection": "75 s",
    }
    assert f"{STREAM_WINDOW_BYTES // 1024} KiB ahead" in (DOCS / "http.md").read_text()


@pytest.mark.parametrize("page", WRITTEN, ids=page_id)
def test_options_exist(page: Path) -> None:
    """An option that a page gives to our commands, or names in the text, is one they have."""
    options = [*options_of(GatewaySettings), *options_of(WorkerSettings)]
    known = COMMON_OPTIONS | {option.command_line_name for option in options}
    known |= {
        option.command_line_name.replace("--", "--no-", 1)
        for option in options
        if option.kind.name == "flag"
    }
    said = set(re.findall(r"`(--[a-z-]+)", prose(page)))
    for command in commands_of(page):
        if re.search(r"toto-(?:gateway|worker)|server\.py", command.text):
            said |= set(re.findall(r"(?<= )--[a-z-]+", command.text))

    assert said - known - {"--json"} == set()


def commands_of(page: Path) -> Iterator[ShellCommand]:
    for block in blocks_of(page):
        if block.language == "console":
            yield from block.commands


def test_contributing_names_what_is_there() -> None:
    """Folders, files and make's jobs exist."""
    page = REPOSITORY / "CONTRIBUTING.md"
    paths = re.findall(
        r"`((?:tests|docs|shared|gateway|worker|examples|bench)/[\w./-]*)`", prose(page)
    )
    jobs = re.findall(r"\bmake ([a-z]+)`", prose(page))
    jobs += [command.text.split()[1] for command in commands_of(page) if "make " in command.text]

    assert [path for path in paths if not (REPOSITORY / path).exists()] == []
    makefile = (REPOSITORY / "Makefile").read_text()
    assert [job for job in jobs if not re.search(rf"^{job}:", makefile, re.MULTILINE)] == []


def test_the_changelog_keeps_its_form() -> None:
    """Versions, in them kinds of change, in them lines."""
    text = (REPOSITORY / "CHANGELOG.md").read_text()
    kinds = re.findall(r"^### (.+)$", text, re.MULTILINE)

    assert re.search(r"^## Unreleased$", text, re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize(
    ("expected", "actual", "printed"),
    [
        ("a\n", "a", True),
        ("a\n", "b", False),
        ('{"id":"..."}', '{"id":"17"}', True),
        ("a...z", "a\nz", False),
        ("a\n...\nz", "a\nb\nc\nz", True),
        ("a\n...\nz", "a\nz", True),
        ("a\n...", "a\nb\nc", True),
        ("0.5 s", "0.61 s", True),
        ("0.5 s", "10.00 s", False),
        ("0.5 s", "0.1 s", False),
        ("HTTP/1.1 200 OK\n\nbody", "HTTP/1.1 200 OK\r\n\r\nbody", True),
    ],
)
def test_outputs_are_compared(expected: str, actual: str, printed: bool) -> None:
    """Dots stand for anything, a duration for one that is not much longer."""
    assert is_printed(expected, actual) is printed


def test_commands_are_read_with_their_output() -> None:
    """A prompt begins a command, a backslash continues it, the rest is output."""
    block = Block("page", 7, "console", "$ one\nout\n\n$ two \\\n  more\n")

    assert block.commands == [
        ShellCommand("page:8", "one", "out\n\n"),
        ShellCommand("page:11", "two \\\n  more", ""),
    ]


def test_a_snippet_names_its_file() -> None:
    """The first line of a snippet may be its path."""
    assert Block("page", 1, "python", "# app/methods/a.py\nx = 1\n").file_name == "app/methods/a.py"
    assert Block("page", 1, "python", "x = 1\n").file_name is None
    assert Block("page", 1, "text", "# a.py\n").file_name is None
