"""Meeting a test through files."""

import time
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.005
PATIENCE_SECONDS = 30.0


def announce(path: str, text: Any) -> None:
    """Write a file in one step, so that a reader never sees half of it."""
    target = Path(path)
    draft = target.with_name(f"{target.name}.draft")
    draft.write_text(str(text))
    draft.replace(target)


def append(path: str, text: str) -> None:
    """Add one line, so that a test can count how often something happened."""
    with Path(path).open("a") as file:
        file.write(f"{text}\n")


def await_file(path: str) -> None:
    """Wait until a test makes the file."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not Path(path).exists():
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"nobody made {path}")
        time.sleep(POLL_SECONDS)
