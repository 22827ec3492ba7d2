"""The fenced blocks of the documentation: files to write, and commands with what they print.

A ``console`` block holds commands behind ``$ `` and their output. A ``python`` or ``toml`` block
whose first line is a comment with a path is the file of that path.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from toto_testkit.processes import REPOSITORY

FENCE = "```"
PROMPT = "$ "
FILE_LANGUAGES = ("python", "toml")
SECONDS_SLACK = 2.0
"""A duration in a page stands for any that is at most so much longer."""
SECONDS_EARLY = 0.05

_FILE_COMMENT = re.compile(r"# ([\w./-]+\.(?:py|toml|conf))")
_SECONDS = re.compile(r"(?<![\w.])\d+\.\d+(?= s$)", re.MULTILINE)
_WILDCARDS = re.compile(r"^\.\.\.\n|\.\.\.|(?<![\w.])\d+\.\d+(?= s$)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block; ``line`` is the number of its fence."""

    page: str
    line: int
    language: str
    text: str

    @property
    def file_name(self) -> str | None:
        """The file that this block is, if its first line says so."""
        match = _FILE_COMMENT.fullmatch(self.text.partition("\n")[0])
        return match[1] if match and self.language in FILE_LANGUAGES else None

    @property
    def commands(self) -> list["ShellCommand"]:
        """The commands of a console block; a backslash continues one on the next line."""
        found: list[ShellCommand] = []
        lines = iter(enumerate(self.text.splitlines(keepends=True), self.line + 1))
        for number, line in lines:
            if line.startswith(PROMPT):
                text = line.removeprefix(PROMPT)
                while text.endswith("\\\n"):
                    text += next(lines)[1]
                found.append(ShellCommand(f"{self.page}:{number}", text.rstrip("\n"), ""))
            elif found:
                last = found.pop()
                found.append(ShellCommand(last.place, last.text, last.output + line))
            else:
                raise ValueError(f"{self.page}:{number}: output without a command")
        return found


@dataclass(frozen=True)
class ShellCommand:
    """A command, where it stands, and what the page says that it prints."""

    place: str
    text: str
    output: str


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in their order."""
    name = str(page.relative_to(REPOSITORY)) if page.is_relative_to(REPOSITORY) else page.name
    found: list[Block] = []
    opened: tuple[int, str, list[str]] | None = None
    for number, line in enumerate(page.read_text().splitlines(keepends=True), 1):
        if not line.startswith(FENCE):
            if opened is not None:
                opened[2].append(line)
        elif opened is None:
            opened = number, line.removeprefix(FENCE).strip(), []
        else:
            found.append(Block(name, opened[0], opened[1], "".join(opened[2])))
            opened = None
    if opened is not None:
        raise ValueError(f"{name}:{opened[0]}: the block has no end")
    return found


def is_printed(expected: str, actual: str, *, whole: bool = True) -> bool:
    """Tell whether a command printed what a page says.

    ``...`` stands for anything within its line, a line of ``...`` for any lines, and a number
    before `` s`` at the end of a line for a duration that is not much longer.

    Args:
        expected: from the page.
        actual: from the command.
        whole: False if other lines may come before and after.
    """
    pattern = _pattern(expected.strip("\n") + "\n")
    text = actual.replace("\r\n", "\n").strip("\n") + "\n"
    match = pattern.fullmatch(text) if whole else pattern.search(text)
    if match is None:
        return False
    told = [float(number) for number in _SECONDS.findall(expected)]
    measured = [float(number) for number in match.groups()]
    return all(
        page - SECONDS_EARLY <= real <= page + SECONDS_SLACK
        for page, real in zip(told, measured, strict=True)
    )


def _pattern(expected: str) -> re.Pattern[str]:
    parts, end = [], 0
    for wildcard in _WILDCARDS.finditer(expected):
        parts.append(re.escape(expected[end : wildcard.start()]))
        if wildcard[0] == "...\n":
            parts.append(r"(?:[^\n]*\n)*?")
        elif wildcard[0] == "...":
            parts.append(r"[^\n]*?")
        else:
            parts.append(r"(\d+\.\d+)")
        end = wildcard.end()
    parts.append(re.escape(expected[end:]))
    return re.compile("".join(parts))
