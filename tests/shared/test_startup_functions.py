"""Which startup functions run, and how the others are refused."""

import logging
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from toto._core.startup import StartupError, run_startup_function
from toto.dbconnection import DBConnection

FUNCTIONS = """
import functools
import sys

seen = []


def both(db_connection, application):
    seen.append((db_connection, application))


def neither():
    seen.append(())


async def late(db_connection):
    pass


async def generating():
    yield 1


class Late:
    async def __call__(self):
        pass


an_object = Late()
a_partial = functools.partial(late, None)
a_lambda = lambda: late(None)


def leaving():
    sys.exit("enough")


def interrupted():
    raise KeyboardInterrupt


def failing():
    raise ValueError("no")
"""


def run(directory: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> Any:
    (directory / "started_app.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(directory))
    connection = cast(DBConnection, object())
    run_startup_function(f"started_app.{function}", app_dir=directory, db_connection=connection)
    return connection


@pytest.fixture(autouse=True)
def forget_module() -> Any:
    sys.modules.pop("started_app", None)
    yield
    sys.modules.pop("started_app", None)


def test_the_log_tells_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Before it runs and after, so that one that hangs can be seen."""
    caplog.set_level(logging.INFO)
    connection = run(tmp_path, monkeypatch, "both")
    run(tmp_path, monkeypatch, "neither")

    assert sys.modules["started_app"].seen == [(connection, None), ()]
    assert [line.getMessage() for line in caplog.records[:2]] == [
        "running startup function started_app.both",
        "startup function started_app.both has run",
    ]


@pytest.mark.parametrize("function", ["late", "generating", "an_object", "a_partial", "a_lambda"])
def test_a_coroutine_function_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """It would never be awaited, and what it sets up would be missing."""
    with pytest.raises(StartupError, match=f"{function} is a coroutine function") as raised:
        run(tmp_path, monkeypatch, function)
    assert raised.value.traceback_text == ""


@pytest.mark.parametrize(
    ("function", "kind"), [("leaving", "SystemExit"), ("failing", "ValueError")]
)
def test_whatever_is_raised_is_a_startup_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, kind: str
) -> None:
    """Even ``sys.exit``, which would end the process without a word, with any exit code."""
    with pytest.raises(StartupError, match=f"started_app.{function} failed: {kind}") as raised:
        run(tmp_path, monkeypatch, function)
    assert f"in {function}" in raised.value.traceback_text


def test_an_interrupt_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator stops a process that hangs in it."""
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, monkeypatch, "interrupted")
