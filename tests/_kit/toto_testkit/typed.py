"""Types for parameters, and what becomes of values of clients in them."""

import dataclasses
from typing import Any, NotRequired, TypedDict

import msgspec
import pydantic
import pytest

from toto._core.parameter_type import ParameterType, parameter_type
from toto.exceptions import ERROR_MISSING_PARAMS, TotoException


@dataclasses.dataclass
class Item:
    """A dataclass."""

    count: int


class ItemDict(TypedDict):
    """A dictionary."""

    count: int


class ItemStruct(msgspec.Struct):
    """A Struct of msgspec."""

    count: int


class ItemModel(pydantic.BaseModel):
    """A model of pydantic."""

    count: int


@dataclasses.dataclass
class Order:
    """A dataclass with others in it."""

    shop: str
    items: list[Item]
    note: str = ""


class OrderDict(TypedDict):
    """A dictionary with others in it."""

    shop: str
    items: list[ItemDict]
    note: NotRequired[str]


class OrderStruct(msgspec.Struct):
    """A Struct with others in it."""

    shop: str
    items: list[ItemStruct]
    note: str = ""


class OrderModel(pydantic.BaseModel):
    """A model with others in it."""

    shop: str
    items: list[ItemModel]
    note: str = ""


ORDERS: list[Any] = [Order, OrderDict, OrderStruct, OrderModel]
"""One type in the words of each library."""


def wanted(annotation: Any) -> ParameterType:
    """Return what an annotation asks for; it must ask for something."""
    found = parameter_type(annotation)
    assert found is not None
    return found


def converted(annotation: Any, value: Any, *, is_text: bool = False) -> Any:
    """Return a value as the annotation wants it."""
    return wanted(annotation).convert(value, is_text=is_text)


def refusal(annotation: Any, value: Any, *, is_text: bool = False) -> str:
    """Return what is said of a value that is refused."""
    with pytest.raises(TotoException) as caught:
        converted(annotation, value, is_text=is_text)
    assert caught.value.code == ERROR_MISSING_PARAMS
    text: str = caught.value.value
    return text
