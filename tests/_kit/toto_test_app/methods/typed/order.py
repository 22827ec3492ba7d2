"""Take a dataclass, which is found although the handler's type is for type checkers only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toto.handler import TotoHandler


@dataclass
class Item:
    count: int
    name: str = ""


@dataclass
class Order:
    shop: str
    items: list[Item]
    labels: dict[str, str] = field(default_factory=dict)


def invoke(handler: TotoHandler, parameters: Order) -> Any:
    count = sum(item.count for item in parameters.items)
    return [type(parameters).__name__, parameters.shop, count]
