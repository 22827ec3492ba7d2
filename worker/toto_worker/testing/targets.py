"""The methods of a test's call: the one it names, and those that one may call."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from toto._wire.constants import METHOD_NAME_LENGTH_MAX
from toto_worker.loader import load_methods
from toto_worker.methods import Method, MethodTable, doc_of, kind_of, traits_of

__all__ = ["LocalMethods", "Target", "local_methods"]

Target = ModuleType | Callable[..., Any] | str


class LocalMethods(MethodTable):
    """A table that looks a name up where it is first asked for.

    Args:
        methods: those that are known.
        packages: dotted names of packages to look in, nearest first.
    """

    __slots__ = ("_found", "_packages")

    def __init__(self, methods: Iterable[Method], packages: Iterable[str] = ()) -> None:
        super().__init__(methods)
        self._packages = tuple(packages)
        self._found: dict[str, Method] = {}

    def __getitem__(self, name: str) -> Method:
        method = self._methods.get(name) or self._found.get(name)
        if method is None:
            found = (_module_below(package, name.split(".")) for package in self._packages)
            module = next((each for each in found if each is not None), None)
            if module is None:
                raise KeyError(name)
            method = self._found[name] = _method_of(module, name)
        return method


def local_methods(
    target: Target, methods: str | Mapping[str, Target] | None
) -> tuple[Method, LocalMethods]:
    """Return the method to call, and all that it may call itself.

    Args:
        target: the method's module, its ``invoke``, or the module's dotted name.
        methods: a package of methods, or methods by name. Otherwise names are looked up in the
            packages around the target.

    Raises:
        TypeError: the target has no ``invoke``.
        ImportError: there is no such module.
        LoadError: a module of the package cannot be imported.
    """
    owner = importlib.import_module(target) if isinstance(target, str) else target
    module = _module_name(owner)
    if isinstance(methods, str):
        main = _method_of(owner, module.removeprefix(f"{methods}."))
        return main, LocalMethods([*_loaded(methods).values(), main])
    main = _method_of(owner, module)
    if methods is None:
        return main, LocalMethods([main], _packages_around(module))
    given = [
        _method_of(importlib.import_module(each) if isinstance(each, str) else each, name)
        for name, each in methods.items()
    ]
    return main, LocalMethods([main, *given])


def _module_name(owner: ModuleType | Callable[..., Any]) -> str:
    if isinstance(owner, ModuleType):
        return owner.__name__
    return getattr(owner, "__module__", None) or "invoke"


def _method_of(owner: ModuleType | Callable[..., Any], name: str) -> Method:
    is_module = isinstance(owner, ModuleType)
    module = owner if is_module else sys.modules.get(_module_name(owner))
    own = {} if module is None else vars(module)
    invoke = own.get("invoke") if is_module else owner
    if not callable(invoke):
        what = f"module {owner.__name__}" if isinstance(owner, ModuleType) else repr(owner)
        raise TypeError(f"{what} is no method: it has no function invoke(handler, parameters)")
    close_hook = own.get("on_connection_close") if own.get("invoke") is invoke else None
    return Method(
        name=name[-METHOD_NAME_LENGTH_MAX:],
        kind=kind_of(invoke),
        invoke=invoke,
        module=_module_name(owner),
        on_connection_close=close_hook if callable(close_hook) else None,
        doc=doc_of(invoke),
        traits=traits_of(invoke),
    )


def _loaded(package: str) -> MethodTable:
    path = list(sys.path)
    try:
        # The test can import the package already: the first folder may stay the first.
        return load_methods(package, app_dir=Path(path[0] if path else "."))
    finally:
        sys.path[:] = path


def _packages_around(module: str) -> Iterator[str]:
    parent = module.rpartition(".")[0]
    while parent:
        yield parent
        parent = parent.rpartition(".")[0]


def _module_below(package: str, parts: list[str]) -> ModuleType | None:
    """Return the module with an ``invoke`` that a name leads to, by files or by re-exports."""
    module = sys.modules.get(package)
    if module is None:  # the target has been imported in some other way than as a package's module
        return None
    for part in parts:
        bound = vars(module).get(part)
        if isinstance(bound, ModuleType):
            module = bound
            continue
        is_legal = part.isidentifier() and not part.startswith("_")
        if not is_legal or not hasattr(module, "__path__"):
            return None
        if importlib.util.find_spec(f"{module.__name__}.{part}") is None:
            return None
        module = importlib.import_module(f"{module.__name__}.{part}")
    return module if callable(vars(module).get("invoke")) else None
