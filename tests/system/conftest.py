"""Fixtures for tests of the commands themselves."""

from pathlib import Path

import pytest

from toto_testkit.written_app import WrittenApp


@pytest.fixture
def app(tmp_path: Path) -> WrittenApp:
    """An application with one method, in a directory of its own."""
    directory = tmp_path / "app"
    directory.mkdir()
    return WrittenApp(directory)
