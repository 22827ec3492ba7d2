"""Values beyond the plain ones that every format carries alike."""

import datetime
import enum
from dataclasses import dataclass
from uuid import UUID

import pytest

from toto._core.formats.format import Format
from toto._core.formats.registry import FormatRegistry

REGISTRY = FormatRegistry(msgpack_enabled=True, bson_enabled=True)


@pytest.fixture(params=["json", "msgpack", "bson"])
def body_format(request: pytest.FixtureRequest) -> Format:
    """Each format in turn."""
    found = REGISTRY.by_name(request.param)
    assert found is not None
    return found


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    when: datetime.date


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (datetime.date(2024, 5, 6), "2024-05-06"),
        (datetime.time(7, 8, 9), "07:08:09"),
        (UUID("12345678-1234-5678-1234-567812345678"), "12345678-1234-5678-1234-567812345678"),
        (Colour.RED, "red"),
        (Point(1, datetime.date(2024, 5, 6)), {"x": 1, "when": "2024-05-06"}),
        ([{"a": (Colour.RED,)}], [{"a": ["red"]}]),
    ],
)
def test_all_formats_carry_what_json_carries(
    body_format: Format, value: object, plain: object
) -> None:
    """Dates, UUIDs, enums and dataclasses are the same texts and objects in each."""
    assert body_format.loads(body_format.result(value)) == {"result": plain}


def test_a_moment_is_native_in_bson_and_text_elsewhere() -> None:
    """BSON has a type for it."""
    registry = FormatRegistry(msgpack_enabled=True, bson_enabled=True)
    moment = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)

    texts = [each.loads(each.result(moment)) for each in (registry.json, registry.msgpack)]

    assert texts == [{"result": "2024-05-06T07:08:09+00:00"}] * 2
    bson_format = registry.by_name("bson")
    assert bson_format is not None
    assert bson_format.loads(bson_format.result(moment)) == {"result": moment.replace(tzinfo=None)}
