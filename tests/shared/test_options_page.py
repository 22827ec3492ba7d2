"""docs/options.md is written from the settings classes."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "write_options.py"


@pytest.fixture
def write_options() -> ModuleType:
    """Return the script as a module; docs is no package."""
    specification = importlib.util.spec_from_file_location("write_options", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_page_is_current() -> None:
    """The page in the repository tells of the options as they are."""
    done = subprocess.run(
        [sys.executable, SCRIPT, "--check"], capture_output=True, text=True, timeout=30
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_stale_page_is_found_and_written_again(
    write_options: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check tells of a missing or changed page and leaves it; without it the page is written."""
    page = tmp_path / "options.md"

    assert write_options.main(["--check"], page) == 1
    assert not page.exists()
    assert write_options.main([], page) == 0
    assert write_options.main(["--check"], page) == 0
    page.write_text("old")
    assert write_options.main(["--check"], page) == 1
    assert page.read_text() == "old"
    assert "options.md is stale: run `make docs`" in capsys.readouterr().err


def test_page_names_every_option_of_both_commands(write_options: ModuleType) -> None:
    """A row tells the option, its variable, type and unit, default and meaning."""
    page = write_options.options_page()

    assert (
        "| `--processes` | `TOTO_PROCESSES` | integer 1..64, processes | `1` "
        "| Gateway processes that share the port. |" in page
    )
    assert "| `--log-format` | `TOTO_LOG_FORMAT` | text \\| json | `text` |" in page
    assert page.count("| `--") == 34 + 11 + 35
