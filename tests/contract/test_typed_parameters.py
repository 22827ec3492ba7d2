"""Methods that name the type of their parameters: what they are given, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.formats import BSON, JSON, MSGPACK, Format, Upload, json_lines, multipart
from toto_testkit.http import Response
from toto_testkit.written_app import WrittenApp, assert_refused

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ORDER = {"shop": "a", "items": [{"count": 1}, {"count": 2, "name": "x"}], "unknown": None}
MODEL = """
import pydantic
from toto.invocation import requires

class Item(pydantic.BaseModel):
    count: int

class Order(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    shop: str
    items: list[Item]

@requires("shop")
def invoke(handler, parameters: Order):
    return [type(parameters).__name__, parameters.model_dump()]
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One worker of an application that uses pydantic."""
    directory = tmp_path_factory.mktemp("models")
    app = WrittenApp(directory / "app")
    app.write("methods/order.py", MODEL)
    arguments = ("--app-dir", str(app.directory), "--method-module", "methods")
    options = {"database": "none"}
    with Cluster(directory, workers=1, options=options, arguments=arguments) as started:
        yield started


def assert_missing(response: Response, text: str) -> None:
    """Check an error 1003."""
    assert response.status == 200
    assert response.json() == {"error": {"code": 1003, "value": text}}


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
def test_a_method_gets_the_type_it_names(cluster: Cluster, body_format: Format) -> None:
    """In every format, nested types included; unknown fields are left out."""
    response = cluster.post({"method": "typed.order", "parameters": ORDER}, "/", None, body_format)

    assert body_format.loads(response.body)["result"] == ["Order", "a", 3]


def test_a_typed_dictionary_is_a_dictionary(cluster: Cluster) -> None:
    """With the fields that the type knows."""
    response = cluster.call("typed.entry", {"title": "a", "other": 1})

    assert response.result == ["dict", {"title": "a"}]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({}, "Missing parameters: items, shop"),
        ({"shop": 7}, "Missing parameters: items"),
        ({"shop": 7, "items": []}, "Invalid parameters: shop: expected str, got int"),
        (
            {"shop": "a", "items": [{"count": 1}, {"count": "x"}]},
            "Invalid parameters: items[1].count: expected int, got str",
        ),
        ({"shop": "a", "items": [{}]}, "Invalid parameters: items[0].count: missing"),
        ([], "Invalid parameters: expected an object, got array"),
        ("x", "Invalid parameters: expected an object, got str"),
        (7, "Invalid parameters: expected an object, got int"),
        (None, "Invalid parameters: expected an object, got null"),
    ],
)
def test_other_parameters_are_refused(cluster: Cluster, parameters: Any, text: str) -> None:
    """By error 1003, which names the field."""
    body = {"method": "typed.order", "parameters": parameters}

    assert_missing(cluster.post(body), text)


def test_a_refusal_does_not_repeat_much_of_what_was_sent(cluster: Cluster) -> None:
    """Two hundred characters of text are enough."""
    response = cluster.call("typed.search", {"pageNumber": 1, "x\n" * 5000: 1})

    assert response.error["code"] == 1003
    assert response.error["value"].startswith("Invalid parameters: x?x?")
    assert len(response.error["value"]) <= 200


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({}, "Missing parameters: pageNumber"),
        ({"pageNumber": 0}, "Invalid parameters: pageNumber: expected int >= 1"),
        ({"pageNumber": "1"}, "Invalid parameters: pageNumber: expected int, got str"),
        ({"pageNumber": 1, "page": 2}, "Invalid parameters: page: unknown field"),
        ({"pageNumber": 1, "tags": 2}, "Invalid parameters: tags: expected array, got int"),
    ],
)
def test_a_type_says_what_it_takes(cluster: Cluster, parameters: Any, text: str) -> None:
    """Limits, names of its own, and no other fields."""
    assert_missing(cluster.call("typed.search", parameters), text)


@pytest.mark.parametrize(
    ("query", "result"),
    [
        ({"pageNumber": "3"}, [3, False, []]),
        ({"pageNumber": "3", "isExact": "true", "tags": "7"}, [3, True, [7]]),
        ({"pageNumber": "3", "tags": ["7", "8"]}, [3, False, [7, 8]]),
    ],
)
def test_queries_and_forms_are_text(cluster: Cluster, query: Any, result: Any) -> None:
    """Numbers are read out of it, and a field given once may be a list or not."""
    text = urlencode(query, doseq=True)

    by_query = cluster.get(f"/typed/search?{text}")
    by_form = cluster.send("POST", "/typed/search", FORM, text.encode())

    assert by_query.result == result
    assert by_form.result == result


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", "Missing parameters: pageNumber"),
        ("pageNumber=x", "Invalid parameters: pageNumber: expected int, got str"),
        ("pageNumber=1&pageNumber=2", "Invalid parameters: pageNumber: expected int, got array"),
        ("pageNumber=1&page=2", "Invalid parameters: page: unknown field"),
    ],
)
def test_queries_and_forms_can_be_wrong(cluster: Cluster, text: str, value: str) -> None:
    """In the words that JSON gets."""
    assert_missing(cluster.get(f"/typed/search?{text}"), value)
    assert_missing(cluster.send("POST", "/typed/search", FORM, text.encode()), value)


def test_the_fields_of_a_form_with_files(cluster: Cluster) -> None:
    """They are read as those of any form are."""
    headers, body = multipart(
        [("count", "3"), ("tags", "x")], [Upload("photo", "a.png", "image/png", b"\x89PNG")]
    )

    response = cluster.send("POST", "/typed/upload", headers, body)

    assert response.result == [3, ["x"], {"photo": [4]}]


@pytest.mark.parametrize(
    ("body_format", "data"), [(JSON, "AP8="), (MSGPACK, b"\x00\xff"), (BSON, b"\x00\xff")]
)
def test_bytes_are_bytes_in_every_format(
    cluster: Cluster, body_format: Format, data: object
) -> None:
    """JSON has none and writes base64."""
    body = {"method": "typed.blob", "parameters": {"data": data}}

    response = cluster.post(body, "/", None, body_format)

    assert body_format.loads(response.body)["result"] == [0, 255]


@pytest.mark.parametrize("kind", ["coroutine", "tornado_coroutine", "decorated"])
def test_methods_of_any_kind_may_name_a_type(cluster: Cluster, kind: str) -> None:
    """Coroutines and asynchronous functions; a decorator fills in before the type is made."""
    assert cluster.call(f"typed.{kind}", {"a": 1}).result == 3
    assert_missing(cluster.call(f"typed.{kind}", {"b": 1}), "Missing parameters: a")


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
def test_generators_may_name_a_type(cluster: Cluster, kind: str) -> None:
    """A refusal comes before the stream begins: it is an ordinary error."""
    response = cluster.call(f"typed.{kind}", {"a": 1})

    assert json_lines(response.body) == [{"result": 1}, {"result": 2}, {"end": True}]
    assert_missing(cluster.call(f"typed.{kind}", {}), "Missing parameters: a")


def test_members_of_a_batch_have_types(cluster: Cluster) -> None:
    """Each is refused for itself."""
    answers = cluster.batch(
        {"a": member("typed.coroutine", a=1), "b": member("typed.coroutine", a="1")}
    )

    text = "Invalid parameters: a: expected int, got str"
    assert answers == {"a": {"result": 3}, "b": {"error": {"code": 1003, "value": text}}}


def test_models_of_pydantic(models: Cluster) -> None:
    """They are made, and refuse what they do not like in pydantic's words."""
    items = [{"count": 1}]

    assert models.call("order", {"shop": "a", "items": items}).result == [
        "Order",
        {"shop": "a", "items": items},
    ]
    assert_missing(models.call("order", {"shop": "a"}), "Missing parameters: items")
    assert_missing(
        models.call("order", {"shop": 7, "items": [{"count": "x"}], "z": 1}),
        "Invalid parameters: shop: input should be a valid string; items[0].count: input should"
        " be a valid integer, unable to parse string as an integer; z: unknown field",
    )


def test_a_type_that_cannot_be_decoded_stops_the_worker(tmp_path: Path) -> None:
    """Before it serves; the message names the method and the reason."""
    app = WrittenApp(tmp_path)
    app.write(
        "methods/shop/order.py",
        "import dataclasses, socket\n\n@dataclasses.dataclass\nclass Order:\n"
        "    peer: socket.socket\n\ndef invoke(handler, parameters: Order): ...\n",
    )
    app.write("methods/shop/__init__.py", "")

    ended = app.run(*app.gateway_arguments())

    assert_refused(
        ended,
        3,
        "Method shop.order (module methods.shop.order): parameters of type Order cannot be"
        " decoded: no request can carry values of type socket",
    )
