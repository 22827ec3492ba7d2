"""Values of clients as instances of a type: what is converted, and how others are refused."""

import dataclasses
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import bson
import msgspec
import pydantic
import pytest

from toto_testkit.typed import (
    ORDERS,
    ItemStruct,
    Order,
    OrderDict,
    OrderModel,
    OrderStruct,
    converted,
    refusal,
)

MSGSPEC_ORDERS = [Order, OrderDict, OrderStruct]


def plain(value: Any) -> Any:
    return (
        value.model_dump() if isinstance(value, pydantic.BaseModel) else msgspec.to_builtins(value)
    )


@pytest.mark.parametrize("kind", ORDERS)
def test_parameters_become_the_type(kind: Any) -> None:
    """Nested types too; what the type does not know is left out."""
    value = {"shop": "a", "items": [{"count": 3}], "other": 1}

    order = converted(kind, value)

    assert isinstance(order, dict if kind is OrderDict else kind)
    assert "other" not in plain(order)
    assert plain(order)["items"] == [{"count": 3}]
    assert value == {"shop": "a", "items": [{"count": 3}], "other": 1}


@pytest.mark.parametrize("kind", [Order, OrderStruct, OrderModel])
def test_an_instance_stays_what_it_is(kind: Any) -> None:
    """A method that calls another one has converted already."""
    order = converted(kind, {"shop": "a", "items": []})

    assert converted(kind, order) is order


@pytest.mark.parametrize("kind", ORDERS)
def test_missing_parameters_are_named_together(kind: Any) -> None:
    """In the words of ``requires``, and before anything is said of the others."""
    assert refusal(kind, {}) == "Missing parameters: items, shop"
    assert refusal(kind, {"note": 1}) == "Missing parameters: items, shop"
    assert refusal(kind, {"shop": 1}) == "Missing parameters: items"


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize(
    ("value", "given"),
    [([], "array"), (None, "null"), ("x", "str"), (7, "int"), (True, "bool"), (0.5, "float")],
)
def test_parameters_that_are_no_object(kind: Any, value: Any, given: str) -> None:
    """There is no field to name then."""
    assert refusal(kind, value) == f"Invalid parameters: expected an object, got {given}"


@pytest.mark.parametrize("kind", ORDERS)
def test_a_field_is_named_by_its_path(kind: Any) -> None:
    """With the index of a list's item."""
    items: list[Any] = [{"count": 1}] * 3

    invalid = refusal(kind, {"shop": "a", "items": [*items, {"count": "x"}]})
    missing = refusal(kind, {"shop": "a", "items": [*items, {}]})

    assert invalid == (
        "Invalid parameters: items[3].count: input should be a valid integer,"
        " unable to parse string as an integer"
        if kind is OrderModel
        else "Invalid parameters: items[3].count: expected int, got str"
    )
    assert missing == "Invalid parameters: items[3].count: missing"


@pytest.mark.parametrize("kind", MSGSPEC_ORDERS)
def test_numbers_are_not_texts(kind: Any) -> None:
    """JSON tells them apart, so nothing is guessed."""
    value = {"shop": "a", "items": [{"count": "3"}]}

    assert refusal(kind, value) == "Invalid parameters: items[0].count: expected int, got str"


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    n: int = 0


class StrictModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    n: int = 0


@pytest.mark.parametrize("kind", [Strict, StrictModel])
def test_a_type_may_refuse_unknown_fields(kind: Any) -> None:
    """The name is the client's, so it is cut."""
    assert refusal(kind, {"m": 1}) == "Invalid parameters: m: unknown field"
    assert refusal(kind, {"x" * 500: 1}) == f"Invalid parameters: {'x' * 57}...: unknown field"


class Limits(msgspec.Struct):
    age: Annotated[int, msgspec.Meta(ge=18)] = 18
    name: Annotated[str, msgspec.Meta(pattern="^[a-z]+$", max_length=5)] = "a"
    size: Literal["s", "m"] = "s"
    prices: dict[int, float] = {}


class LimitsModel(pydantic.BaseModel):
    age: Annotated[int, pydantic.Field(ge=18)] = 18
    size: Literal["s", "m"] = "s"
    even: int = 0

    @pydantic.field_validator("even")
    @classmethod
    def is_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (Limits, {"age": 3}, "age: expected int >= 18"),
        (Limits, {"name": "A"}, "name: expected str matching regex '^[a-z]+$'"),
        (Limits, {"name": "abcdef"}, "name: expected str of length <= 5"),
        (Limits, {"size": "xl"}, "size: invalid enum value 'xl'"),
        (Limits, {"prices": {"x": 1}}, "prices: key: expected int, got str"),
        (Limits, {"prices": {"1": "x"}}, "prices[...]: expected float, got str"),
        (LimitsModel, {"age": 3}, "age: input should be greater than or equal to 18"),
        (LimitsModel, {"size": "xl"}, "size: input should be 's' or 'm'"),
        (LimitsModel, {"even": 3}, "even: must be even"),
        (
            LimitsModel,
            {"age": 3, "even": 3},
            "age: input should be greater than or equal to 18; even: must be even",
        ),
    ],
)
def test_constraints_hold(kind: Any, value: Any, reason: str) -> None:
    """What the type says about a field is checked, and told."""
    assert refusal(kind, value) == f"Invalid parameters: {reason}"


def test_json_names_of_numbers_are_keys() -> None:
    """JSON has no other keys than texts; msgpack has."""
    assert converted(Limits, {"prices": {"1": 2}}).prices == {1: 2.0}
    assert converted(Limits, {"prices": {1: 2}}).prices == {1: 2.0}


class Many(pydantic.BaseModel):
    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0
    e: int = 0
    f: int = 0

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def refuse(cls, value: object) -> object:
        raise ValueError("no")


def test_five_reasons_are_enough() -> None:
    """Of many errors the first ones are told."""
    assert refusal(Many, dict.fromkeys("abcdef", 1)) == (
        "Invalid parameters: a: no; b: no; c: no; d: no; e: no"
    )


class Colour(msgspec.Struct):
    name: Literal["red"]


class Checked(msgspec.Struct):
    name: str

    def __post_init__(self) -> None:
        if self.name != "a":
            raise ValueError(f"Not a\nname: {self.name}")


class Counts(pydantic.BaseModel):
    by_name: dict[str, int]


@pytest.mark.parametrize(
    ("kind", "value", "start"),
    [
        (Colour, {"name": "x" * 5000}, "Invalid parameters: name: invalid enum value 'xxx"),
        (Checked, {"name": "x" * 5000}, "Invalid parameters: not a?name: xxx"),
        (Counts, {"by_name": {"x" * 5000: "y"}}, "Invalid parameters: by_name.xxx"),
        (
            Counts,
            {"by_name": {letter * 50: "y" for letter in "abcdef"}},
            "Invalid parameters: by_name.aaa",
        ),
    ],
)
def test_what_the_client_sent_is_not_repeated_at_length(kind: Any, value: Any, start: str) -> None:
    """The text has 200 characters at most, all on one line."""
    text = refusal(kind, value)

    assert text.startswith(start)
    assert len(text) <= 200
    assert text.isprintable()


class Blob(msgspec.Struct):
    data: bytes
    when: datetime | None = None


def test_bytes_come_as_they_are_or_in_base64() -> None:
    """msgpack and BSON have bytes and times; JSON has texts for them."""
    when = datetime(2020, 1, 2, tzinfo=UTC)

    assert converted(Blob, {"data": b"hi", "when": when}) == Blob(b"hi", when)
    assert converted(Blob, {"data": "aGk=", "when": "2020-01-02T00:00:00Z"}) == Blob(b"hi", when)
    assert (
        refusal(Blob, {"data": "@@"}) == "Invalid parameters: data: invalid base64 encoded string"
    )


class Document(msgspec.Struct):
    key: bson.ObjectId
    anything: object = None


def test_objects_of_bson_are_known() -> None:
    """BSON brings ids; no other format can."""
    key = bson.ObjectId()

    assert converted(Document, {"key": key, "anything": [1]}) == Document(key, [1])
    assert refusal(Document, {"key": "x"}) == "Invalid parameters: key: expected ObjectId, got str"


# -- queries and forms


@dataclasses.dataclass
class Search:
    page: int
    is_exact: bool = False
    tags: list[int] = dataclasses.field(default_factory=list)
    limit: int | None = None
    either: str | list[str] = ""
    anything: Any = None
    order: Literal["up", "down"] = "up"


class SearchModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    page: int
    is_exact: bool = False
    tags: list[int] = []
    limit: int | None = None
    either: str | list[str] = ""
    anything: Any = None
    order: Literal["up", "down"] = "up"


@pytest.mark.parametrize("kind", [Search, SearchModel])
@pytest.mark.parametrize(
    ("query", "field", "expected"),
    [
        ({"page": "3"}, "page", 3),
        ({"page": "3", "is_exact": "true"}, "is_exact", True),
        ({"page": "3", "tags": "4"}, "tags", [4]),
        ({"page": "3", "tags": ["4", "5"]}, "tags", [4, 5]),
        ({"page": "3", "limit": "7"}, "limit", 7),
        ({"page": "3", "either": "a"}, "either", "a"),
        ({"page": "3", "order": "down"}, "order", "down"),
        ({"page": ["3"]}, "page", 3),
        ({"page": ["3"], "is_exact": ["false"]}, "is_exact", False),
        ({"page": ["3"], "tags": ["4"]}, "tags", [4]),
        ({"page": ["3"], "limit": ["7"]}, "limit", 7),
        ({"page": ["3"], "either": ["a"]}, "either", ["a"]),
        ({"page": ["3"], "anything": ["a"]}, "anything", ["a"]),
        ({"page": ["3"], "order": ["down"]}, "order", "down"),
        ({"page": ["3"], "unknown": ["7"]}, "page", 3),
    ],
)
def test_queries_and_forms_carry_text_only(
    kind: Any, query: dict[str, Any], field: str, expected: Any
) -> None:
    """Texts become numbers, and a field that was given once is a list or not as the type says."""
    assert getattr(converted(kind, query, is_text=True), field) == expected


def test_a_query_can_be_wrong() -> None:
    """Several values for one field, and texts that are no numbers."""
    several = refusal(Search, {"page": ["3", "4"]}, is_text=True)

    assert several == "Invalid parameters: page: expected int, got array"
    assert refusal(Search, {"page": "x"}, is_text=True) == (
        "Invalid parameters: page: expected int, got str"
    )
    assert refusal(Search, {}, is_text=True) == "Missing parameters: page"


class Upload(msgspec.Struct):
    arguments: ItemStruct
    files: dict[str, list[dict[str, Any]]]


def test_the_fields_of_a_multipart_body_are_texts_too() -> None:
    """They stand one level deeper, beside the files."""
    file = {"filename": "a", "content_type": "text/plain", "body": b"\xff"}
    body = {"arguments": {"count": ["3"]}, "files": {"a": [file]}}

    upload = converted(Upload, body, is_text=True)

    assert upload == Upload(ItemStruct(3), {"a": [file]})
