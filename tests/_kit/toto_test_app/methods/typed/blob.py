"""Take bytes, and tell which."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Blob:
    data: bytes


def invoke(handler: Any, parameters: Blob) -> Any:
    return list(parameters.data)
