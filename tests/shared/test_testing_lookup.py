"""``call_method`` finds methods: the one to call, and those that it calls itself."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from toto.exceptions import ERROR_SERVER, TotoException
from toto.testing import call_method

ADA = {"user_id": "ada"}
PLACE = (
    "async def invoke(handler, parameters):\n"
    "    return await handler.call(parameters.pop('method'), parameters)\n"
)
NAME = "def invoke(handler, parameters):\n    return [__name__, parameters]\n"


def fail(handler: Any, parameters: Any) -> Any:
    raise LookupError("no such hat")


def whose(handler: Any, parameters: Any) -> Any:
    session = handler.retrieve_session()
    return session and session.user_id


def items(handler: Any, parameters: Any) -> Iterator[Any]:
    yield from parameters
    if handler.request.headers.get("x-fail"):
        raise TotoException(2001, "no more")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A function that writes a module of a package ``shop``, which can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = list(sys.path)

    def write(name: str, text: str) -> None:
        path = tmp_path.joinpath("shop", *name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in (path.parent, *path.parent.parents):
            if folder == tmp_path:
                break
            (folder / "__init__.py").touch()
        path.write_text(text)
        importlib.invalidate_caches()

    yield write
    assert sys.path == before, "a call has changed the import path"
    for name in [each for each in sys.modules if each.partition(".")[0] == "shop"]:
        del sys.modules[name]


def test_a_module_and_a_dotted_name_are_called(shop: Callable[..., None]) -> None:
    """Both name the module's ``invoke``."""
    shop("orders.name", NAME)

    by_name = call_method("shop.orders.name", [1])
    by_module = call_method(sys.modules["shop.orders.name"], [1])

    assert by_name.result == by_module.result == ["shop.orders.name", [1]]
    assert by_name.method == "shop.orders.name"


def test_what_is_no_method_is_refused(shop: Callable[..., None]) -> None:
    """The message names the module."""
    shop("helpers", "invoke = 5\n")

    with pytest.raises(TypeError, match=r"module shop\.helpers is no method"):
        call_method("shop.helpers")
    with pytest.raises(ModuleNotFoundError, match=r"shop\.nothing"):
        call_method("shop.nothing")


@pytest.mark.parametrize("name", ["name", "orders.name", "methods.orders.name"])
def test_a_name_is_looked_up_around_the_method(shop: Callable[..., None], name: str) -> None:
    """In the packages that the method is in, whichever of them is the root."""
    shop("methods.orders.place", PLACE)
    shop("methods.orders.name", NAME)

    answer = call_method("shop.methods.orders.place", {"method": name, "a": 1})

    assert answer.result == ["shop.methods.orders.name", {"a": 1}]


def test_a_package_of_methods(shop: Callable[..., None]) -> None:
    """Names are those of the package, re-exports among them."""
    shop("methods.orders.place", PLACE)
    shop("methods.account.__init__", "import toto.methods.account.login as login\n")

    answer = call_method(
        "shop.methods.orders.place",
        {"method": "account.login", "user_id": "ada", "password": "pw"},
        methods="shop.methods",
        accounts={"ada": "pw"},
    )

    assert answer.method == "orders.place"
    assert answer.session is not None
    assert answer.session.user_id == "ada"


def test_methods_in_the_place_of_others() -> None:
    """A test gives its own; they run with the caller's session, and streams come as lists."""

    def invoke(handler: Any, parameters: Any) -> Any:
        names = ("stock.whose", "stock.items")
        return [handler.call_sync(name, [1, 2]) for name in names]

    methods: dict[str, Any] = {"stock.whose": whose, "stock.items": items}

    assert call_method(invoke, methods=methods, session=ADA).result == ["ada", [1, 2]]


@pytest.mark.parametrize("name", ["nothing", "os", "__init__", "a-b", "orders"])
def test_an_unknown_name_is_no_method(shop: Callable[..., None], name: str) -> None:
    """The calling method gets error 1001."""
    shop("methods.orders.place", "import os\n" + PLACE)

    answer = call_method("shop.methods.orders.place", {"method": name})

    assert answer.error is not None
    assert (answer.error.code, answer.error.value) == (1001, f"Cannot call '{name}'.")


def test_a_called_method_that_fails() -> None:
    """The test gets the exception itself, unless the calling method has dealt with it."""

    def pass_on(handler: Any, parameters: Any) -> Any:
        return handler.call_sync("fail")

    def deal(handler: Any, parameters: Any) -> Any:
        try:
            return handler.call_sync("fail")
        except TotoException as error:
            return error.code

    with pytest.raises(LookupError, match="no such hat"):
        call_method(pass_on, methods={"fail": fail})
    assert call_method(deal, methods={"fail": fail}).result == ERROR_SERVER


def test_a_called_module_that_cannot_be_imported(shop: Callable[..., None]) -> None:
    """The test is told why."""
    shop("place", PLACE)
    shop("broken", "import no_such_module\n")

    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        call_method("shop.place", {"method": "broken"})


def test_methods_that_call_each_other_for_ever() -> None:
    """End as they do when served."""

    def again(handler: Any, parameters: Any) -> Any:
        return handler.call_sync("again")

    answer = call_method(again, methods={"again": again})

    assert answer.error is not None
    assert "levels deep" in answer.error.value
