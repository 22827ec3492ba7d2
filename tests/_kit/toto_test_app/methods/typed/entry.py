"""Take a TypedDict."""

from typing import Any, NotRequired, TypedDict


class Entry(TypedDict):
    title: str
    stars: NotRequired[int]


def invoke(handler: Any, parameters: Entry) -> Any:
    return [type(parameters).__name__, parameters]
