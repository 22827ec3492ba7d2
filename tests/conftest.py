"""Fixtures that start the real commands; a failed test shows what they wrote."""

import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import Gate, InBackground, MakeCluster
from toto_testkit.leaks import leaving_nothing
from toto_testkit.processes import BYTECODE_VARIABLE, Command

BACKGROUND_THREADS = 64
SHOWN_CHARACTERS = 20_000
LONG_FILES = ("test_readme.py", "test_bench.py")
"""Few tests that take long: begun last, they would leave the other processors without work."""


def pytest_configure(config: pytest.Config) -> None:
    """Let commands that tests start keep their bytecode from one test run to the next."""
    if hasattr(config, "cache"):
        os.environ.setdefault(BYTECODE_VARIABLE, str(config.cache.mkdir("bytecode")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest files where several processes share the tests (pytest-xdist)."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path.name not in LONG_FILES)


def commands_behind(fixture: Any) -> list[Command]:
    """Return the commands a fixture's value stands for."""
    match fixture:
        case Command():
            return [fixture]
        case Cluster():
            return [fixture.command]
        case MakeCluster():
            return [cluster.command for cluster in fixture.started]
        case _:
            return []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the output of the commands a failed test used to its report."""
    report = yield
    used = getattr(item, "funcargs", {}).values() if report.failed else ()
    for command in (command for value in used for command in commands_behind(value)):
        shown = command.output()[-SHOWN_CHARACTERS:]
        report.sections.append((f"output of {command.arguments[0]}", shown))
    return report


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves a thread, a process, a socket or a pipe behind."""
    with leaving_nothing():
        yield


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers for every test that neither kills nor fills them."""
    options = {
        "threads": 4,
        "request_timeout": 5.0,
        "msgpack_enabled": True,
        "bson_enabled": True,
        "allow_origin": "https://app.example",
    }
    with Cluster(tmp_path_factory.mktemp("cluster"), options=options) as started:
        yield started


@pytest.fixture
def make_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeCluster]:
    """Start clusters for one test; they are stopped when it ends."""
    with ExitStack() as stack:
        yield MakeCluster(stack, lambda: tmp_path_factory.mktemp("own-cluster"))


@pytest.fixture
def in_background() -> Iterator[InBackground]:
    """Run calls in threads, for their futures; all have ended when the test is left."""
    with ThreadPoolExecutor(BACKGROUND_THREADS) as pool:
        yield pool.submit


@pytest.fixture
def gate(tmp_path: Path, in_background: InBackground) -> Iterator[Gate]:
    """Hold calls of the method ``gate``; they are let through before their threads are joined."""
    held = Gate(tmp_path)
    yield held
    held.open()
