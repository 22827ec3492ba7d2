"""Return a value that no client could send, by its name."""

import dataclasses
import datetime
import enum
import uuid
from typing import Any


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Article:
    name: str
    price: int


class Opaque:
    """Nothing that any format can carry."""


MOMENT = datetime.datetime(2012, 2, 29, 12, 30, 15, tzinfo=datetime.UTC)

VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "false": False,
    "zero": 0,
    "empty_text": "",
    "int64_max": 2**63 - 1,
    "int64_min": -(2**63),
    "uint64_max": 2**64 - 1,
    "uint64_over": 2**64,
    "int64_under": -(2**63) - 1,
    "float": 0.1,
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "negative_zero": -0.0,
    "nan": float("nan"),
    "infinity": float("inf"),
    "text": "grüße 漢字 \N{GRINNING FACE} \x00\x1f \u2028 </script>",
    "list": [1, "two", [3.0, [None]]],
    "tuple": (1, (2, 3)),
    "nested": {"a": {"b": [{"c": {"d": [[[]]]}}]}, "": {"": 0}},
    "bytes": bytes(range(256)),
    "moment": MOMENT,
    "day": datetime.date(2012, 2, 29),
    "uuid": uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "enum": Colour.RED,
    "dataclass": Article("hat", 12),
    "object": {"goods": [1, {"hat": Opaque()}]},
    "set": {"a": [{"b": {1}}]},
    "lone_surrogate": {"text": "\ud800"},
    "deep_bytes": {"a": [0, b"\xff"]},
    "deep_over": {"a": [{"b": 2**64}]},
    "function": [len],
}


def invoke(handler: Any, parameters: Any) -> Any:
    return VALUES[parameters["name"]]
