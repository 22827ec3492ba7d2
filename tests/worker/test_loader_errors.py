"""What is said when methods cannot be loaded, and which of them a worker leaves out."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import toto
from toto_testkit.user_app import METHOD, UserApp, user_app
from toto_worker.loader import load_methods


@pytest.fixture
def app(tmp_path: Path) -> Iterator[UserApp]:
    """An empty folder for a user's code."""
    with user_app(tmp_path / "app") as app:
        yield app


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0\n", "cannot be imported: ZeroDivisionError: division by zero"),
        ("raise ValueError\n", "cannot be imported: ValueError"),
        ("raise ValueError('a\\nb')\n", "cannot be imported: ValueError: a"),
        ("import no_such\n", "cannot be imported: ModuleNotFoundError: No module named 'no_such'"),
        ("def f(:\n", "cannot be imported: SyntaxError: invalid syntax (broken.py, line 1)"),
        ("import sys; sys.exit(2)\n", "exits while it is imported: SystemExit(2)."),
        ("exit()\n", "exits while it is imported: SystemExit(None)."),
    ],
)
def test_module_that_fails_to_import(app: UserApp, text: str, message: str) -> None:
    """The error names the module in one sentence, and its traceback starts in the user's file."""
    app.write({"methods/": "", "methods/a/": "", "methods/a/broken.py": text})

    error = app.failure()

    assert str(error) == f"Module methods.a.broken {message}"
    assert error.module == "methods.a.broken"
    first_file = next(line for line in error.traceback_text.splitlines() if "File" in line)
    assert first_file.startswith(f'  File "{app.folder}/methods/a/broken.py", line 1')
    assert "toto_worker" not in error.traceback_text
    assert "importlib" not in error.traceback_text


def test_traceback_shows_the_way_to_the_fault(app: UserApp) -> None:
    """A fault in an imported helper is shown with the method that imports it."""
    app.write(
        {"methods/": "", "methods/a.py": "import helper\n" + METHOD, "helper.py": "x = 1\n1 / 0\n"}
    )

    error = app.failure()

    assert error.module == "methods.a"
    assert 'methods/a.py", line 1' in error.traceback_text
    assert 'helper.py", line 2' in error.traceback_text
    assert error.traceback_text.endswith("ZeroDivisionError: division by zero\n")


def test_impossible_circle_of_imports(app: UserApp) -> None:
    """Two methods which need each other's variables at import are an error of the first."""
    app.write(
        {
            "methods/": "",
            "methods/a.py": "from methods.b import y\nx = 1\n" + METHOD,
            "methods/b.py": "from methods.a import x\ny = 1\n" + METHOD,
        }
    )

    error = app.failure()

    assert error.module == "methods.a"
    assert "circular import" in str(error)


def test_keyboard_interrupt_is_not_an_error_of_the_module(app: UserApp) -> None:
    """Ctrl-C during the imports stops the command as it does anywhere else."""
    app.write({"methods/": "", "methods/a.py": "raise KeyboardInterrupt\n"})

    with pytest.raises(KeyboardInterrupt):
        app.load()


@pytest.mark.parametrize("package", ["methods", "outer.methods", "outer.inner.methods"])
def test_root_that_does_not_exist(app: UserApp, package: str) -> None:
    """The error says where the package was looked for and which options choose it."""
    app.write({"outer/": ""})

    error = app.failure(package)

    assert str(error) == (
        f"There is no package {package} in {app.folder} or elsewhere on Python's path:"
        " name the package with --methods and the folder that holds it with --app-dir."
    )
    assert error.module == package
    assert error.traceback_text == ""


def test_root_that_imports_something_missing(app: UserApp) -> None:
    """A missing module inside the root package is not mistaken for a missing root."""
    app.write({"methods/": "import methods.missing\n"})

    error = app.failure()

    assert str(error) == (
        "Module methods cannot be imported: ModuleNotFoundError: No module named 'methods.missing'"
    )


@pytest.mark.parametrize(
    ("text", "where"),
    [(METHOD, "{folder}/methods.py"), ("import sys\nsys.modules[__name__] = 7\n", "built in")],
)
def test_root_that_is_a_plain_module(app: UserApp, text: str, where: str) -> None:
    """A single file holds no methods."""
    app.write({"methods.py": text})

    error = app.failure()

    assert str(error) == (
        f"methods is a plain module ({where.format(folder=app.folder)}),"
        " but methods live in a package."
    )


@pytest.mark.parametrize("package", ["", "./methods", "methods/", ".methods", "methods..a", "a-b"])
def test_root_that_is_no_dotted_name(app: UserApp, package: str) -> None:
    """A path or a broken name is refused before anything is imported."""
    app.write({"methods/": METHOD})

    error = app.failure(package)

    assert str(error) == (
        f"{package!r} is not the dotted name of a package, such as 'myapp.methods'."
    )


def test_root_without_methods(app: UserApp) -> None:
    """A worker without any method is an error, not an idle worker."""
    app.write({"methods/": METHOD, "methods/helpers.py": "x = 1\n"})

    assert str(app.failure()) == (
        "No method found in methods: no module below it has an invoke function."
    )


@pytest.mark.parametrize(
    ("only", "exclude", "names"),
    [
        ([], [], ["a", "b.c", "b.d", "e"]),
        (["b.*"], [], ["b.c", "b.d"]),
        (["b.c", "?"], [], ["a", "b.c", "e"]),
        ([], ["b.*", "E"], ["a", "e"]),
        (["b.*"], ["*.d"], ["b.c"]),
    ],
)
def test_only_and_exclude(
    app: UserApp, only: list[str], exclude: list[str], names: list[str]
) -> None:
    """Patterns choose by name, re-exports too; exclude wins."""
    app.write(
        {
            "vendor.py": METHOD,
            "methods/": "import vendor as e\n",
            "methods/a.py": METHOD,
            "methods/b/": "",
            "methods/b/c.py": METHOD,
            "methods/b/d.py": METHOD,
        }
    )

    assert app.names(only=only, exclude=exclude) == names


def test_what_is_left_out_is_not_imported(app: UserApp) -> None:
    """A worker need not have what the methods of other workers import."""
    app.write(
        {
            "methods/": "",
            "methods/echo.py": METHOD,
            "methods/heavy/": "",
            "methods/heavy/train.py": "import no_such_library\n" + METHOD,
        }
    )

    assert app.names(exclude=["heavy.*"]) == ["echo"]
    assert "methods.heavy.train" not in sys.modules


def test_nothing_left(app: UserApp) -> None:
    """Patterns that leave no method are an error which repeats them."""
    app.write({"methods/": "", "methods/a.py": METHOD})

    assert str(app.failure(only=["b*"], exclude=["c"])) == (
        "No method of methods is left with only=['b*'] and exclude=['c']."
    )


def test_folders_with_the_names_of_ours(app: UserApp) -> None:
    """A user's own folders named as ours neither break the worker nor are taken for it."""
    for name in ("gateway", "worker", "shared"):
        app.write({f"{name}/": "", f"{name}/tools.py": f"owner = 'user of {name}'\n"})
    app.write(
        {
            "toto/": "1 / 0\n",
            "methods/": "",
            "methods/a.py": (
                "import gateway.tools, worker.tools, shared.tools, toto.exceptions\n" + METHOD
            ),
        }
    )

    assert app.names() == ["a"]
    assert sys.modules["toto"] is toto
    assert importlib.import_module("toto.exceptions").TotoException.__name__ == "TotoException"
    assert sys.modules["worker.tools"].owner == "user of worker"


def test_root_is_loaded_from_a_relative_folder(
    app: UserApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is made absolute, put first on the path, and not repeated by a second load."""
    app.write({"methods/": "", "methods/echo.py": METHOD})
    monkeypatch.chdir(app.folder.parent)

    load_methods("methods", app_dir=Path("app"))
    sys.path.insert(0, "/elsewhere")
    load_methods("methods", app_dir=Path("app"))

    assert sys.path[0] == str(app.folder)
    assert sys.path.count(str(app.folder)) == 1
