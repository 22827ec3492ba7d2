"""Which annotations name a type for parameters, and which of them cannot be used."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar

import msgspec
import pydantic
import pytest
import typing_extensions
from pydantic.dataclasses import dataclass as pydantic_dataclass

from toto._core.parameter_type import UnsupportedType, parameter_type
from toto_testkit.typed import (
    Item,
    ItemDict,
    ItemModel,
    ItemStruct,
    Order,
    OrderStruct,
    converted,
    refusal,
    wanted,
)

T = TypeVar("T")


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    name: str


@dataclasses.dataclass
class Page(Generic[T]):
    entries: list[T]


@pydantic_dataclass
class PydanticDataclass:
    count: int


class ExtensionDict(typing_extensions.TypedDict):
    count: int


Alias = NewType("Alias", Page[int])


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Cat | Dog, {"type": "Dog", "name": "a"}, Dog("a")),
        (Cat, {"lives": 7}, Cat(7)),
        (Page[int], {"entries": [1]}, Page([1])),
        (list[ItemStruct], [{"count": 1}], [ItemStruct(1)]),
        (dict[str, ItemStruct], {"a": {"count": 1}}, {"a": ItemStruct(1)}),
        (ItemStruct | None, None, None),
        (Annotated[ItemStruct, "a note"], {"count": 1}, ItemStruct(1)),
        (Alias, {"entries": [1]}, Page([1])),
        (ExtensionDict, {"count": 1}, {"count": 1}),
        (PydanticDataclass, {"count": 1}, PydanticDataclass(1)),
        (ItemModel | None, {"count": 1}, ItemModel(count=1)),
        (list[ItemModel], [{"count": 1}], [ItemModel(count=1)]),
    ],
)
def test_types_made_of_types(annotation: Any, value: Any, expected: Any) -> None:
    """Unions, generic types, collections and aliases of them."""
    assert converted(annotation, value) == expected


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (Cat, {}, "Missing parameters: lives"),
        (Cat | Dog, {}, "Missing parameters: type"),
        (Cat | Dog, {"type": "Cow"}, "Invalid parameters: type: invalid value 'Cow'"),
        (list[ItemStruct], {}, "Invalid parameters: expected array, got object"),
        (PydanticDataclass, {}, "Missing parameters: count"),
        (PydanticDataclass, 7, "Invalid parameters: expected an object, got int"),
    ],
)
def test_refusals_of_types_made_of_types(annotation: Any, value: Any, text: str) -> None:
    """In the same words, as far as they apply."""
    assert refusal(annotation, value) == text


class Ordinary: ...


@pytest.mark.parametrize(
    "annotation",
    [
        dict,
        dict[str, Any],
        Any,
        Mapping[str, Any],
        Mapping,
        None,
        object,
        str,
        list[int],
        Ordinary,
        Literal["Order"],
        "an error in it",
        Callable[[Order], int],
        7,
    ],
)
def test_other_annotations_leave_parameters_alone(annotation: Any) -> None:
    """They are for type checkers; Toto's methods have them too."""
    assert parameter_type(annotation) is None


@dataclasses.dataclass
class Connected:
    connection: Ordinary


@dataclasses.dataclass
class TwoLists:
    value: list[int] | set[int]


Unfinished = msgspec.defstruct("Unfinished", [("value", "Nowhere")])
FIELDS: dict[str, Any] = {"value": ("Nowhere", ...)}
UnfinishedModel = pydantic.create_model("UnfinishedModel", **FIELDS)


class NestedModel(msgspec.Struct):
    value: ItemModel


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (Connected, "Connected cannot be decoded: no request can carry values of type Ordinary"),
        (TwoLists, "TwoLists cannot be decoded: Type unions may not contain more than one"),
        (Unfinished, "Unfinished cannot be decoded: name 'Nowhere' is not defined"),
        (UnfinishedModel, "UnfinishedModel cannot be decoded: `UnfinishedModel` is not fully"),
        (
            NestedModel,
            "NestedModel cannot be decoded: no request can carry values of type ItemModel",
        ),
        (Order | OrderStruct, "Order | "),
    ],
)
def test_types_that_cannot_be_decoded(annotation: Any, reason: str) -> None:
    """That is known before the first call."""
    with pytest.raises(UnsupportedType) as caught:
        parameter_type(annotation)

    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_models_of_pydantic_1_are_refused() -> None:
    """They look like those of version 2 and are something else."""
    from pydantic.v1 import BaseModel

    class Old(BaseModel):
        count: int

    with pytest.raises(UnsupportedType, match="Old cannot be decoded: "):
        parameter_type(Old)


@pytest.mark.parametrize("kind", [Item, ItemDict, ItemStruct, ItemModel])
def test_the_schema_tells_what_is_wanted(kind: Any) -> None:
    """For pages that describe the methods; a caller may do with it what it likes."""
    found = wanted(kind)

    schema = found.json_schema()
    schema.clear()

    text = str(found.json_schema())
    assert "'count'" in text
    assert "'integer'" in text
    assert "'required': ['count']" in text
