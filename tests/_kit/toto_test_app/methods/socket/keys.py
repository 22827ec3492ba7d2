"""Yield items, some of which have a name."""

from collections.abc import Iterator
from typing import Any

from toto.handler import StreamItem


def invoke(handler: Any, parameters: Any) -> Iterator[Any]:
    yield ["plain"]
    yield StreamItem(["named"], "first-key")
    yield StreamItem(["last"], "17-0")
