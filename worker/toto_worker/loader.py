"""Finds the methods in the user's package, once, at start-up.

This is the only place where the names of modules become names clients can call; see
:func:`load_methods` for the rule. It knows nothing of requests.
"""

import importlib
import logging
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, TypeGuard

from toto._core.parameter_type import UnsupportedType
from toto._core.typed_parameters import parameters_of, typed
from toto_worker.methods import Method, MethodTable, doc_of, kind_of, traits_of

__all__ = ["LoadError", "load_methods"]

DEPTH_MAX = 8
NAME_LENGTH_MAX = 128
_COMPONENT = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_BUILT_IN_METHODS = "toto.methods"

_log = logging.getLogger(__name__)


class LoadError(Exception):
    """The methods cannot be loaded: one sentence, and the user's traceback if there is one."""

    def __init__(self, message: str, *, module: str, traceback_text: str = "") -> None:
        super().__init__(message)
        self.module = module
        self.traceback_text = traceback_text


def load_methods(
    package: str, *, app_dir: Path, only: Sequence[str] = (), exclude: Sequence[str] = ()
) -> MethodTable:
    """Import the package ``package`` and return the methods in it.

    A method is a module with a callable ``invoke`` among its own variables. It is found in one of
    two ways:

    * As a file below the package. Every file is imported, ``__main__`` apart. A folder needs an
      ``__init__.py``; only the root package does without.
    * Re-exported: ``import toto.methods.account.login as login`` in ``account/__init__.py`` makes
      ``account.login``, because that is how Toto's applications name the built-in methods. This
      holds for any module which the ``__init__`` of a package binds to a name without a leading
      underscore. The variables of plain modules are never looked at: what a method imports for its
      own use does not become callable.

    The inside of a re-exported *package* belongs to it only if the package is part of the root
    package or of ``toto.methods``: ``import requests`` must not offer what is in ``requests``. A
    package is never followed into itself or into one that encloses it, and a re-exported package
    is not followed to a further one, so that packages which import each other add few names.

    The parts of a name match ``[A-Za-z][A-Za-z0-9_]*``; a name has at most 8 parts and 128
    characters. A module with another name is skipped with a warning.

    Args:
        package: the dotted name of the root package.
        app_dir: the folder that holds it; becomes the first entry of ``sys.path``.
        only: patterns as of ``fnmatch``; a name must match one of them. Empty means all.
        exclude: patterns of names to leave out. A file that is left out is not imported, so what
            it needs may be missing from this worker's host.

    Raises:
        LoadError: a module cannot be imported, the parameters of a method are of a type that
            cannot be decoded, or there is no method.
    """

    def is_selected(name: str) -> bool:
        is_wanted = not only or any(fnmatchcase(name, pattern) for pattern in only)
        return is_wanted and not any(fnmatchcase(name, pattern) for pattern in exclude)

    folder = _put_first_on_path(app_dir)
    root = _import_root(package, folder)
    if _own_invoke(root) is not None:
        _log.warning("the invoke of the root package %s has no name and is ignored", package)
    walk = _Walk(package, is_selected)
    walk.follow_root(root)
    if not walk.methods:
        raise LoadError(_nothing_found(package, only, exclude), module=package)
    return MethodTable(walk.methods)


class _Walk:
    """One walk over the packages, which collects methods."""

    def __init__(self, root_name: str, is_selected: Callable[[str], bool]) -> None:
        self.methods: list[Method] = []
        self._root_name = root_name
        self._is_selected = is_selected

    def follow_root(self, root: ModuleType) -> None:
        """Collect the methods of the root package."""
        parts = self._root_name.split(".")
        # `import app.tools` in app.methods binds `app`, which encloses the root
        enclosing = frozenset(".".join(parts[:count]) for count in range(1, len(parts)))
        self._follow(root, (), enclosing, is_reexported=False)

    def _follow(
        self,
        package: ModuleType,
        path: tuple[str, ...],
        enclosing: frozenset[str],
        *,
        is_reexported: bool,
    ) -> None:
        if len(path) > DEPTH_MAX:
            _log.warning("package %s is too deep: its methods are skipped", package.__name__)
            return
        enclosing = enclosing | {package.__name__}
        # before the files are imported, for that binds their names in the package anew
        bound = _bound_modules(package)
        files = _files(package, bound)
        _warn_of_plain_folders(package, files)
        for name, module in bound.items():
            is_own = module.__name__ == f"{package.__name__}.{name}"
            if is_own or module.__name__ in enclosing:
                continue
            is_followed = not is_reexported and self._belongs(module)
            if name in files:
                if is_followed or _own_invoke(module) is not None:
                    raise _two_meanings(package, name, module)
                continue
            self._take(module, (*path, name))
            if is_followed:
                self._follow(module, (*path, name), enclosing, is_reexported=True)
        for name, is_package in files.items():
            if is_package or self._is_selected(".".join((*path, name))):
                module = _import(f"{package.__name__}.{name}")
                self._take(module, (*path, name))
                if _is_package(module):
                    self._follow(module, (*path, name), enclosing, is_reexported=is_reexported)

    def _belongs(self, module: ModuleType) -> bool:
        """Tell whether this is a package whose inside may be offered where it is re-exported."""
        tops = (self._root_name, _BUILT_IN_METHODS)
        is_ours = any(f"{module.__name__}.".startswith(f"{top}.") for top in tops)
        return is_ours and _is_package(module)

    def _take(self, module: ModuleType, path: tuple[str, ...]) -> None:
        """Add the method, if the module is one and its name is legal and wanted."""
        invoke = _own_invoke(module)
        name = ".".join(path)
        if invoke is None or not self._is_selected(name):
            return
        fault = _fault_of_name(path)
        if fault:
            _log.warning("method %s (module %s) is skipped: %s", name, module.__name__, fault)
            return
        converting = typed(invoke)
        try:
            parameters = parameters_of(converting)
        except UnsupportedType as error:
            message = f"Method {name} (module {module.__name__}): parameters of type {error}"
            raise LoadError(message, module=module.__name__) from error
        on_connection_close = vars(module).get("on_connection_close")
        self.methods.append(
            Method(
                name=name,
                kind=kind_of(invoke),
                invoke=invoke if parameters is None else converting,
                module=module.__name__,
                on_connection_close=on_connection_close if callable(on_connection_close) else None,
                doc=doc_of(invoke),
                traits=traits_of(invoke),
                parameters=parameters,
            )
        )


def _put_first_on_path(app_dir: Path) -> str:
    folder = os.path.abspath(app_dir)
    sys.path[:] = [folder, *(entry for entry in sys.path if entry != folder)]
    importlib.invalidate_caches()
    return folder


def _import_root(package: str, folder: str) -> ModuleType:
    if not all(part.isidentifier() for part in package.split(".")):
        message = f"{package!r} is not the dotted name of a package, such as 'myapp.methods'."
        raise LoadError(message, module=package)
    try:
        root = _import(package)
    except LoadError as error:
        missing = getattr(error.__cause__, "name", None)
        is_missing = isinstance(error.__cause__, ModuleNotFoundError)
        if is_missing and missing and f"{package}.".startswith(f"{missing}."):
            message = (
                f"There is no package {package} in {folder} or elsewhere on Python's path:"
                " name the package with --methods and the folder that holds it with --app-dir."
            )
            raise LoadError(message, module=package) from None
        raise
    if not _is_package(root):
        where = getattr(root, "__file__", None) or "built in"
        message = f"{package} is a plain module ({where}), but methods live in a package."
        raise LoadError(message, module=package)
    return root


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except SystemExit as error:
        message = f"Module {name} exits while it is imported: SystemExit({error.code!r})."
        raise LoadError(message, module=name, traceback_text=_user_traceback(error)) from error
    except Exception as error:
        summary = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": ")
        message = f"Module {name} cannot be imported: {summary}"
        raise LoadError(message, module=name, traceback_text=_user_traceback(error)) from error


def _user_traceback(error: BaseException) -> str:
    """Return the traceback of an import without our own frames and those of ``importlib``."""
    ours = (__file__, importlib.__file__)
    rest: TracebackType | None = error.__traceback__
    while rest is not None:
        file_name = rest.tb_frame.f_code.co_filename
        if file_name not in ours and not file_name.startswith("<frozen importlib"):
            break
        rest = rest.tb_next
    return "".join(traceback.format_exception(type(error), error, rest))


def _bound_modules(package: ModuleType) -> dict[str, ModuleType]:
    """Return the imported modules which the package's ``__init__`` bound to public names."""
    return {
        name: value
        for name, value in vars(package).items()
        if _is_module(value)
        and not name.startswith("_")
        and sys.modules.get(value.__name__) is value
    }


def _files(package: ModuleType, bound: dict[str, ModuleType]) -> dict[str, bool]:
    """Return the names of the package's own modules, and whether each is a package.

    ``pkgutil`` does not see a folder without ``__init__.py``; one that was imported is in
    ``bound``.
    """
    files = {info.name: info.ispkg for info in pkgutil.iter_modules(package.__path__)}
    for name, module in bound.items():
        if module.__name__ == f"{package.__name__}.{name}":
            files.setdefault(name, _is_package(module))
    files.pop("__main__", None)
    return files


def _is_module(value: object) -> TypeGuard[ModuleType]:
    # not isinstance: it asks a lazy object for its class, and that runs the user's code
    return issubclass(type(value), ModuleType)


def _is_package(module: ModuleType) -> bool:
    return _is_module(module) and "__path__" in vars(module)


def _own_invoke(module: ModuleType) -> Callable[..., Any] | None:
    # a module may have put an object of any type in its place in sys.modules
    invoke = vars(module).get("invoke") if _is_module(module) else None
    return invoke if callable(invoke) else None


def _two_meanings(package: ModuleType, name: str, module: ModuleType) -> LoadError:
    message = (
        f"{package.__name__}.{name} is both a file and a re-export of {module.__name__}:"
        " remove one of them."
    )
    return LoadError(message, module=package.__name__)


def _fault_of_name(path: tuple[str, ...]) -> str:
    illegal = [part for part in path if not _COMPONENT.fullmatch(part)]
    if illegal:
        return f"{illegal[0]!r} is not a letter followed by letters, digits and underscores"
    if len(path) > DEPTH_MAX:
        return f"the name has more than {DEPTH_MAX} parts"
    if len(".".join(path)) > NAME_LENGTH_MAX:
        return f"the name has more than {NAME_LENGTH_MAX} characters"
    return ""


def _warn_of_plain_folders(package: ModuleType, files: dict[str, bool]) -> None:
    for folder in _code_folders(package):
        if folder.name not in files:
            _log.warning("folder %s has no __init__.py: its methods are not found", folder)


def _code_folders(package: ModuleType) -> Iterator[Path]:
    """Yield the folders in the package that hold Python files."""
    for entry in package.__path__:
        root = Path(entry)
        for folder in sorted(root.iterdir()) if root.is_dir() else ():
            holds_code = any(folder.glob("*.py")) or any(folder.glob("*/__init__.py"))
            if holds_code and _COMPONENT.fullmatch(folder.name):
                yield folder


def _nothing_found(package: str, only: Sequence[str], exclude: Sequence[str]) -> str:
    if not only and not exclude:
        return f"No method found in {package}: no module below it has an invoke function."
    return f"No method of {package} is left with only={list(only)} and exclude={list(exclude)}."
