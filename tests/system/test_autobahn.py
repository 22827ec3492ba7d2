"""WebSockets pass the Autobahn test suite, whose fuzzing client knows RFC 6455 case by case.

Its cases 12 and 13 are about compression, which the gateway does not take when it is offered.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from toto_testkit.echo_server import EchoEndpoint, echo_server
from toto_testkit.processes import REPOSITORY, run_to_end

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(150),
    pytest.mark.usefixtures("no_leaks"),
]

SUITE = REPOSITORY / ".venv-autobahn"
RUN_SECONDS = 120.0
MEBIBYTE = 1024 * 1024
AGENT = "gateway"
CLOSE_SECONDS = 10
"""The suite would give a server 1 s to close a connection, which a busy machine may take."""

PROTOCOL_CASES = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
LIMIT_CASES = ("9.1.*", "9.2.*", "9.3.*", "9.4.*", "9.5.*", "9.6.*")
"""9.7 and 9.8 only measure round trips of short messages, most of it time of the suite itself."""
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}


class Verdict(NamedTuple):
    """What the suite thinks of one case."""

    behavior: str
    closing: str
    close_code: int | None
    """That of the gateway."""

    @property
    def is_good(self) -> bool:
        """True if it holds nothing against the gateway."""
        return {self.behavior, self.closing} <= GOOD


def test_the_gateway_follows_the_protocol(tmp_path: Path) -> None:
    """Nothing breaks the standard: frames, pings, fragments, UTF-8 and goodbyes.

    Case 7.1.5 wants a goodbye in the middle of a fragmented message answered with its own code.
    ``websockets`` takes it for an error of the protocol and answers 1002, as its notes on
    conformance (``compliance/README.rst``) say; the standard leaves the code to the server.
    """
    verdicts = run_suite(tmp_path, PROTOCOL_CASES, max_message_bytes=2 * MEBIBYTE)

    assert counts(verdicts, parts=1) == {
        "1": 16,
        "2": 11,
        "3": 7,
        "4": 10,
        "5": 20,
        "6": 145,
        "7": 37,
        "10": 1,
    }
    assert complaints(verdicts) == {"7.1.5": Verdict("FAILED", "WRONG CODE", 1002)}


def test_long_messages_come_back_however_they_are_cut(tmp_path: Path) -> None:
    """Up to 16 MiB in one frame, 4 MiB in fragments of 64 bytes, 1 MiB in writes of 64 bytes."""
    verdicts = run_suite(tmp_path, LIMIT_CASES, max_message_bytes=16 * MEBIBYTE)

    assert counts(verdicts, parts=2) == {
        "9.1": 6,
        "9.2": 6,
        "9.3": 9,
        "9.4": 9,
        "9.5": 6,
        "9.6": 6,
    }
    assert complaints(verdicts) == {}


def run_suite(
    directory: Path, cases: Sequence[str], *, max_message_bytes: int
) -> dict[str, Verdict]:
    """Run cases against a server that sends back what it gets; return the verdicts by case."""
    command = suite_command()
    spec_path, reports = directory / "spec.json", directory / "reports"
    endpoint = EchoEndpoint(max_message_bytes=max_message_bytes)

    async def main() -> None:
        async with echo_server(endpoint) as url:
            spec_path.write_text(json.dumps(spec_of(url, cases, reports)))
            ended = await asyncio.to_thread(
                run_to_end,
                [command, "--mode", "fuzzingclient", "--spec", str(spec_path)],
                environment={"PYTHONUSERBASE": str(SUITE)},
                deadline_seconds=RUN_SECONDS,
            )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    asyncio.run(main())
    assert endpoint.faults == []
    report = json.loads((reports / "index.json").read_text())[AGENT]
    return {
        case: Verdict(found["behavior"], found["behaviorClose"], found["remoteCloseCode"])
        for case, found in report.items()
    }


def spec_of(url: str, cases: Sequence[str], reports: Path) -> dict[str, object]:
    return {
        "options": {"serverConnectionDropTimeout": CLOSE_SECONDS},
        "outdir": str(reports),
        "servers": [{"agent": AGENT, "url": url}],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }


def suite_command() -> str:
    """Return the path of the suite's command; without it the test is skipped."""
    path = SUITE / "bin" / "wstest"
    if not path.exists():
        pytest.skip("no Autobahn test suite: `make autobahn` installs it if there is a Python 2.7")
    return str(path)


def counts(verdicts: dict[str, Verdict], *, parts: int) -> Counter[str]:
    """Count cases by the first parts of their numbers."""
    return Counter(".".join(case.split(".")[:parts]) for case in verdicts)


def complaints(verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
    return {case: verdict for case, verdict in verdicts.items() if not verdict.is_good}
