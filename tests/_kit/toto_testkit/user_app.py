"""A folder with a user's method modules, written by a test and imported from there."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from toto_worker.loader import LoadError, load_methods
from toto_worker.methods import MethodTable

METHOD = "def invoke(handler, parameters): return __name__\n"


class UserApp:
    """A folder with a user's code; the root package is `methods` unless another is named."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, files: dict[str, str]) -> None:
        """Write files; `folder/` stands for `folder/__init__.py`."""
        for name, text in files.items():
            path = self.folder / (f"{name}__init__.py" if name.endswith("/") else name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def load(self, package: str = "methods", **patterns: list[str]) -> MethodTable:
        """Load the methods of the package."""
        return load_methods(package, app_dir=self.folder, **patterns)

    def names(self, package: str = "methods", **patterns: list[str]) -> list[str]:
        """Load and return the names of the methods."""
        return list(self.load(package, **patterns))

    def failure(self, package: str = "methods", **patterns: list[str]) -> LoadError:
        """Load and return the error."""
        with pytest.raises(LoadError) as caught:
            self.load(package, **patterns)
        return caught.value


@contextmanager
def user_app(folder: Path) -> Iterator[UserApp]:
    """Give an app in this folder; what it imported and put on the path is undone afterwards."""
    modules, path, writes_no_bytecode = dict(sys.modules), list(sys.path), sys.dont_write_bytecode
    # a file that is written twice within one second would be read from the stale bytecode
    sys.dont_write_bytecode = True
    try:
        yield UserApp(folder)
    finally:
        sys.path[:], sys.dont_write_bytecode = path, writes_no_bytecode
        for name in sys.modules.keys() - modules.keys():
            file = getattr(sys.modules[name], "__file__", None)
            if file is None or file.startswith(str(folder)):
                del sys.modules[name]
        sys.modules.update(modules)
