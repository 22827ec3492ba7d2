"""Take a Struct that knows its fields, and no others."""

from typing import Annotated, Any

import msgspec


class Search(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    page_number: Annotated[int, msgspec.Meta(ge=1)]
    is_exact: bool = False
    tags: list[int] = []


def invoke(handler: Any, parameters: Search) -> Any:
    return [parameters.page_number, parameters.is_exact, parameters.tags]
