"""Which modules become methods, and what is said when they cannot be loaded."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import toto
from toto_testkit.user_app import METHOD, UserApp, user_app


@pytest.fixture
def app(tmp_path: Path) -> Iterator[UserApp]:
    """An empty folder for a user's code."""
    with user_app(tmp_path / "app") as app:
        yield app


def test_files_below_the_package_are_methods(app: UserApp) -> None:
    """A module with an invoke is a method under its path; one without is not."""
    app.write(
        {
            "methods/": "",
            "methods/echo.py": METHOD,
            "methods/helpers.py": "def call(): ...\n",
            "methods/account/": "",
            "methods/account/login.py": METHOD,
            "methods/package/": METHOD,
            "methods/package/inner.py": METHOD,
        }
    )

    assert app.names() == ["account.login", "echo", "package", "package.inner"]


def test_what_the_table_holds(app: UserApp) -> None:
    """An entry carries the functions, their kind, their module and their docstring."""
    text = '"""Module."""\nasync def invoke(handler, parameters):\n    """Wait.\n\n    Long."""\n'
    close = "def on_connection_close(handler): ...\n"
    app.write({"methods/": "", "methods/wait.py": text + close, "methods/echo.py": METHOD})

    table = app.load()

    module = sys.modules["methods.wait"]
    wait, echo = table["wait"], table["echo"]
    assert (wait.name, wait.kind, wait.module, wait.doc) == (
        "wait",
        "coroutine",
        "methods.wait",
        "Wait.\n\nLong.",
    )
    assert wait.invoke is module.invoke
    assert wait.on_connection_close is module.on_connection_close
    assert (echo.kind, echo.on_connection_close, echo.doc) == ("function", None, "")
    assert (wait.parameters, echo.parameters) == (None, None)


def test_own_invoke_only(app: UserApp) -> None:
    """An invoke that is no callable, or is only made up by `__getattr__`, is none."""
    app.write(
        {
            "methods/": "",
            "methods/value.py": "invoke = 7\n",
            "methods/made_up.py": "def __getattr__(name): return print\n",
            "methods/replaced.py": "import sys\nsys.modules[__name__] = type('X', (), {})()\n",
            "methods/package/": "",
            "methods/package/invoke.py": "x = 1\n",
            "methods/callable_object.py": "invoke = print\n",
        }
    )

    assert app.names() == ["callable_object"]


def test_invoke_of_the_root_is_ignored(app: UserApp, caplog: pytest.LogCaptureFixture) -> None:
    """The root package has no name, so its invoke is reported and not served."""
    app.write({"methods/": METHOD, "methods/echo.py": METHOD})

    assert app.names() == ["echo"]
    assert "invoke of the root package methods has no name" in caplog.text


def test_reexported_modules_are_methods(app: UserApp) -> None:
    """Toto's idiom: a package's `__init__` offers another package's method under a name."""
    app.write(
        {
            "vendor/": "",
            "vendor/login.py": METHOD,
            "vendor/logout.py": METHOD,
            "methods/": "import vendor.logout as bye\nfrom methods import account\n",
            "methods/account/": "import vendor.login as login\n",
        }
    )

    table = app.load()

    assert list(table) == ["account.login", "bye"]
    assert table["account.login"].invoke(None, None) == "vendor.login"
    assert table["account.login"].module == "vendor.login"


def test_built_in_package_can_be_reexported(app: UserApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of `toto.methods` is offered with its inside, unlike any other outside one."""
    for name in [name for name in sys.modules if name.startswith("toto.methods")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(toto, "methods", None, raising=False)
    monkeypatch.setattr(toto, "__path__", [str(app.folder / "built_in"), *toto.__path__])
    app.write(
        {
            "built_in/methods/": "",
            "built_in/methods/account/": "",
            "built_in/methods/account/login.py": METHOD,
            "vendor/": METHOD,
            "vendor/secret.py": METHOD,
            "methods/": (
                "import toto.methods.account as account\n"
                "import toto.methods.account.login\nimport vendor, vendor.secret\n"
            ),
        }
    )

    assert app.names() == ["account.login", "vendor"]


def test_variables_of_plain_modules_are_not_methods(app: UserApp) -> None:
    """Nothing that can be reached through modules is callable unless it was registered."""
    app.write(
        {
            "other/": METHOD,
            "other/service.py": METHOD,
            "methods/": "import os, json as _json\nfrom methods import b\nimport other.service\n",
            "methods/a.py": "import os, other, methods\nimport other.service as service\n" + METHOD,
            "methods/b/": "import methods\nfrom methods import b\nfrom . import helpers\n",
            "methods/b/c.py": "from methods import a\n" + METHOD,
            "methods/b/helpers.py": "from methods.a import service\n",
        }
    )

    table = app.load()

    registered = {"a", "b.c", "other"}
    assert set(table) == registered
    reachable = set(reachable_paths(sys.modules["methods"], depth=5))
    assert {"a", "a.os.path", "a.service", "b.methods.a", "b.c.a.invoke"} < reachable
    for path in reachable - registered:
        assert table.get(path) is None
        assert table.get(f"{path}.invoke") is None


def reachable_paths(module: ModuleType, depth: int, prefix: str = "") -> Iterator[str]:
    """Yield the dotted paths of all variables, as attribute access from the root finds them."""
    for name, value in vars(module).items():
        yield prefix + name
        in_test = getattr(value, "__name__", "").partition(".")[0] in {"methods", "other", "os"}
        if depth > 1 and isinstance(value, ModuleType) and in_test:
            yield from reachable_paths(value, depth - 1, f"{prefix}{name}.")


def test_packages_that_import_each_other(app: UserApp) -> None:
    """A re-exported package of the root is followed once, never into one that encloses it."""
    app.write(
        {
            "top/": METHOD + "import top.tools\n",
            "top/tools.py": "",
            "top/methods/": "import top.tools\n",
            "top/methods/a/": METHOD + "from top.methods import b\n",
            "top/methods/a/x.py": METHOD,
            "top/methods/b/": "from top.methods import a, c\nimport top\n",
            "top/methods/b/y.py": METHOD,
            "top/methods/c/": "from top.methods import b\n",
            "top/methods/c/z.py": METHOD,
        }
    )

    names = app.names("top.methods")

    assert names == [
        *("a", "a.b.y", "a.x"),
        *("b.a", "b.a.x", "b.c.z", "b.y"),
        *("c.b.a", "c.b.y", "c.z"),
    ]


def test_circular_imports_between_methods(app: UserApp) -> None:
    """Methods may import each other."""
    app.write(
        {
            "methods/": "",
            "methods/a.py": "import methods.b\n" + METHOD,
            "methods/b.py": "import methods.a\n" + METHOD,
        }
    )

    assert app.names() == ["a", "b"]


def test_variables_that_only_look_like_modules(app: UserApp) -> None:
    """A lazy object is not asked for its class, and an unregistered module does not count."""
    app.write(
        {
            "methods/": (
                "import types\n"
                "class Lazy:\n    __class__ = property(lambda self: 1 / 0)\n"
                "lazy = Lazy()\n"
                "unregistered = types.ModuleType('unregistered')\n"
                "unregistered.invoke = print\n"
            ),
            "methods/echo.py": METHOD,
        }
    )

    assert app.names() == ["echo"]


@pytest.mark.parametrize("line", ["import vendor.login as login", "from methods import login"])
def test_a_name_with_two_meanings_is_refused(app: UserApp, line: str) -> None:
    """A re-export with the name of a file is an error, whichever of them was meant."""
    app.write(
        {
            "vendor/": "",
            "vendor/login.py": METHOD,
            "methods/": "",
            "methods/login/": "",
            "methods/account/": line + "\n",
            "methods/account/login.py": METHOD,
        }
    )

    error = app.failure()

    assert error.module == "methods.account"
    assert "methods.account.login is both a file and a re-export of" in str(error)


def test_a_file_beside_a_harmless_import_of_the_same_name(app: UserApp) -> None:
    """An imported module that is no method does not hide a file."""
    app.write({"methods/": "import json\n", "methods/json.py": METHOD})

    assert app.names() == ["json"]


@pytest.mark.parametrize(
    "path",
    ["_private.py", "_package/login.py", "with-dash.py", "1st.py", "été.py", "a" * 129 + ".py"],
)
def test_illegal_names_are_skipped(
    app: UserApp, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """A method whose name no client may use is reported and not served."""
    app.write({"methods/": "", "methods/echo.py": METHOD, "methods/_package/": ""})
    app.write({f"methods/{path}": METHOD})

    assert app.names() == ["echo"]
    assert len(caplog.records) == 1
    assert caplog.messages[0].startswith(f"method {path[:-3].replace('/', '.')} (module methods.")


def test_legal_names_of_every_length(app: UserApp) -> None:
    """128 characters, capitals, digits and inner underscores are allowed."""
    long = "a" * 128
    app.write({"methods/": "", f"methods/{long}.py": METHOD, "methods/Get_2_.py": METHOD})

    assert app.names() == ["Get_2_", long]


def test_names_with_a_leading_underscore_are_not_reexported(
    app: UserApp, caplog: pytest.LogCaptureFixture
) -> None:
    """An alias with a leading underscore is private, and says so by itself."""
    app.write(
        {"vendor.py": METHOD, "methods/": "import vendor as _vendor\n", "methods/a.py": METHOD}
    )

    assert app.names() == ["a"]
    assert caplog.messages == []


def test_main_module_is_not_run(app: UserApp) -> None:
    """A package's `__main__` is a program and stays unimported."""
    app.write({"methods/": "", "methods/__main__.py": "1 / 0\n", "methods/a.py": METHOD})

    assert app.names() == ["a"]


def test_depth(app: UserApp, caplog: pytest.LogCaptureFixture) -> None:
    """Eight parts make a name, nine do not, and what is deeper is not imported."""
    folder = "methods/"
    app.write({folder: ""})
    for level in "abcdefghi":
        folder += f"{level}/"
        app.write({folder: "", f"{folder}m.py": METHOD})
    app.write({f"{folder}m.py": "1 / 0\n"})

    names = app.names()

    assert len(names) == 7
    assert names[0] == "a.b.c.d.e.f.g.m"
    too_deep, too_long = caplog.messages
    assert too_deep == "package methods.a.b.c.d.e.f.g.h.i is too deep: its methods are skipped"
    assert too_long.startswith("method a.b.c.d.e.f.g.h.m (module methods.")
    assert too_long.endswith("is skipped: the name has more than 8 parts")


def test_folders_without_init(app: UserApp, caplog: pytest.LogCaptureFixture) -> None:
    """A folder of code without `__init__.py` is reported; one of data is not."""
    app.write(
        {
            "methods/": "",
            "methods/echo.py": METHOD,
            "methods/data/words.txt": "no code",
            "methods/forgotten/login.py": METHOD,
            "methods/versions/v1/": METHOD,
        }
    )

    assert app.names() == ["echo"]
    assert caplog.messages == [
        f"folder {app.folder}/methods/forgotten has no __init__.py: its methods are not found",
        f"folder {app.folder}/methods/versions has no __init__.py: its methods are not found",
    ]


def test_root_without_init(app: UserApp, caplog: pytest.LogCaptureFixture) -> None:
    """The root package does without `__init__.py`."""
    app.write({"methods/echo.py": METHOD, "methods/account/": "", "methods/account/a.py": METHOD})

    assert app.names() == ["account.a", "echo"]
    assert caplog.messages == []


def test_imported_folder_without_init(app: UserApp, caplog: pytest.LogCaptureFixture) -> None:
    """A folder without `__init__.py` which the package itself imports is a package of it."""
    app.write(
        {
            "methods/": "import methods.account.login\n",
            "methods/account/login.py": METHOD,
            "methods/account/logout.py": METHOD,
        }
    )

    assert app.names() == ["account.login", "account.logout"]
    assert caplog.messages == []
