"""What the loader makes of methods whose parameters have a type."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from toto_testkit.user_app import UserApp, user_app

TYPED = """
import dataclasses
from toto.invocation import requires

@dataclasses.dataclass
class Order:
    count: int

"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[UserApp]:
    """An empty folder for a user's code."""
    with user_app(tmp_path / "app") as app:
        yield app


@pytest.mark.parametrize(
    "text",
    [
        TYPED + "def invoke(handler, parameters: Order): return parameters.count\n",
        TYPED + "@requires('count')\ndef invoke(handler, parameters: Order):"
        " return parameters.count\n",
        "from __future__ import annotations\n"
        + TYPED
        + "def invoke(handler: Unknown, parameters: Order): return parameters.count\n",
    ],
)
def test_the_table_knows_the_type_of_parameters(app: UserApp, text: str) -> None:
    """And what it calls converts them, whether there is a decorator or not."""
    app.write({"methods/": "", "methods/order.py": text})

    method = app.load()["order"]

    assert method.parameters is not None
    assert method.parameters.annotation is sys.modules["methods.order"].Order
    assert method.parameters.json_schema()["$defs"]["Order"]["required"] == ["count"]
    assert method.invoke(None, {"count": 3}) == 3


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ("connection: object | list[int] | set[int]", "Type unions may not contain more than one "),
        ("connection: Connection", "no request can carry values of type Connection"),
        ("connection: 'Nowhere'", "name 'Nowhere' is not defined"),
    ],
)
def test_parameters_that_cannot_be_decoded(app: UserApp, annotation: str, reason: str) -> None:
    """The error names the method, the type and the reason."""
    text = (
        "import dataclasses\nclass Connection: ...\n"
        f"@dataclasses.dataclass\nclass Order:\n    {annotation}\n"
        "def invoke(handler, parameters: Order): ...\n"
    )
    app.write({"methods/": "", "methods/shop/": "", "methods/shop/order.py": text})

    error = app.failure()

    assert error.module == "methods.shop.order"
    assert str(error).startswith(
        "Method shop.order (module methods.shop.order):"
        f" parameters of type Order cannot be decoded: {reason}"
    )
