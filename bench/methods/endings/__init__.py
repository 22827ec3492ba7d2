"""Methods that note the moment when their client's going away has reached them."""

import os
import time


def note(path: str) -> None:
    """Write a line with the time; the file is whole or not there."""
    partial = f"{path}.partial"
    with open(partial, "w") as file:
        file.write(repr(time.time()))
    os.rename(partial, path)
