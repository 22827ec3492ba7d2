"""Values of every kind as results and parameters, in every format and in batches (section 3)."""

import datetime
import math
from collections.abc import Iterator
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.formats import BSON, JSON
from toto_testkit.speaking import ALL_WAYS, Way, every_way, speaking_options

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

SAME = {
    "none": None,
    "true": True,
    "false": False,
    "zero": 0,
    "empty_text": "",
    "int64_max": 9223372036854775807,
    "int64_min": -9223372036854775808,
    "float": 0.1,
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "text": "grüße 漢字 \U0001f600 \x00\x1f \u2028 </script>",
    "list": [1, "two", [3.0, [None]]],
    "tuple": [1, [2, 3]],
    "nested": {"a": {"b": [{"c": {"d": [[[]]]}}]}, "": {"": 0}},
}
UNFIT = {
    "object": ("$.goods[1].hat", "Opaque"),
    "set": ("$.a[0].b", "set"),
    "function": ("$[0]", "builtin_function_or_method"),
    "deep_over": ("$.a[0].b", "int"),
    "uint64_over": ("$", "int"),
    "int64_under": ("$", "int"),
}
SENT = [
    {"a": [1, 2.5, "x", None, True, {"b": []}]},
    {"text": "\U0001f600 \u0000 漢"},
    {"big": 2**63 - 1, "small": -(2**63)},
    [1, [2]],
    "text",
    0,
    False,
    {},
    [],
]
CARRIED_BY_JSON: dict[str, tuple[str, Any]] = {
    "moment": ("datetime", "2012-02-29T12:30:15+00:00"),
    "day": ("date", "2012-02-29"),
    "uuid": ("UUID", "12345678-1234-5678-1234-567812345678"),
    "enum": ("Colour", "red"),
    "dataclass": ("Article", {"name": "hat", "price": 12}),
}
WAYS_OF_BYTES = [way for way in ALL_WAYS if way.body_format is not JSON]
MOMENT = datetime.datetime(2012, 2, 29, 12, 30, 15, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, every format, and a database."""
    directory = tmp_path_factory.mktemp("handler")
    options = speaking_options(str(directory / "toto.db"))
    with Cluster(directory, options=options) as started:
        yield started


@every_way
@pytest.mark.parametrize("name", SAME)
def test_a_result_arrives_as_it_is(cluster: Cluster, way: Way, name: str) -> None:
    """Numbers, texts and what is nested of them are the same at the client."""
    result = way.call(cluster, "contract.values", {"name": name}).result

    assert result == SAME[name]
    assert isinstance(result, type(SAME[name]))


@every_way
@pytest.mark.parametrize("sent", SENT, ids=repr)
def test_parameters_arrive_as_they_are(cluster: Cluster, way: Way, sent: Any) -> None:
    """What a method got is what the client sent, also where it is empty or no object."""
    assert way.call(cluster, "echo", sent).result == sent


@every_way
def test_the_sign_of_zero_stays(cluster: Cluster, way: Way) -> None:
    """A float is a float."""
    result = way.call(cluster, "contract.values", {"name": "negative_zero"}).result

    assert isinstance(result, float)
    assert math.copysign(1, result) == -1


@every_way
def test_the_largest_number_without_a_sign(cluster: Cluster, way: Way) -> None:
    """JSON and msgpack have 64 bits without a sign; BSON does not, and says where."""
    answer = way.call(cluster, "contract.values", {"name": "uint64_max"})

    if way.body_format is BSON:
        assert answer.error["code"] == 1000
        assert "$: int" in answer.error["value"]
    else:
        assert answer.result == 18446744073709551615


@every_way
@pytest.mark.parametrize("name", ["nan", "infinity"])
def test_what_is_no_number(cluster: Cluster, way: Way, name: str) -> None:
    """JSON has no such numbers and gets null, the other formats have them."""
    result = way.call(cluster, "contract.values", {"name": name}).result

    if way.body_format is JSON:
        assert result is None
    else:
        assert str(result) == ("nan" if name == "nan" else "inf")


@every_way
def test_bytes_where_the_format_can(cluster: Cluster, way: Way) -> None:
    """msgpack and BSON carry all byte values; for JSON they are not serialisable."""
    answer = way.call(cluster, "contract.values", {"name": "bytes"})
    deep = way.call(cluster, "contract.values", {"name": "deep_bytes"})

    if way.body_format is JSON:
        assert answer.error["code"] == 1000
        assert "$: bytes" in answer.error["value"]
        assert "$.a[1]: bytes" in deep.error["value"]
    else:
        assert answer.result == bytes(range(256))
        assert deep.result == {"a": [0, b"\xff"]}


@pytest.mark.parametrize("way", WAYS_OF_BYTES, ids=lambda way: way.name)
def test_bytes_as_parameters_where_the_format_can(cluster: Cluster, way: Way) -> None:
    """What msgpack and BSON carry to a method are bytes there."""
    body = bytes(range(256)) * 100

    result = way.call(cluster, "contract.digest", {"body": body}).result

    assert result["body"] == body


@every_way
@pytest.mark.parametrize("name", CARRIED_BY_JSON)
def test_what_json_writes_as_text(cluster: Cluster, way: Way, name: str) -> None:
    """Another format carries it with the same meaning, or names its type."""
    type_name, text = CARRIED_BY_JSON[name]

    answer = way.call(cluster, "contract.values", {"name": name})

    if way.body_format is not JSON and "error" in answer.entry:
        assert answer.error["code"] == 1000
        assert f"$: {type_name}" in answer.error["value"]
    elif name == "moment":
        assert _as_moment(answer.result) == MOMENT
    else:
        assert answer.result == text


@every_way
@pytest.mark.parametrize("name", UNFIT)
def test_what_is_not_serialisable_is_named(cluster: Cluster, way: Way, name: str) -> None:
    """Error 1000 tells the place and the type, and nothing of the value."""
    place, type_name = UNFIT[name]

    error = way.call(cluster, "contract.values", {"name": name}).error

    assert error["code"] == 1000
    assert f"{place}: " in error["value"]
    assert type_name in error["value"]


@every_way
def test_text_that_is_no_unicode_is_an_error(cluster: Cluster, way: Way) -> None:
    """Half of a surrogate pair has no UTF-8; the place is named."""
    error = way.call(cluster, "contract.values", {"name": "lone_surrogate"}).error

    assert error["code"] == 1000
    assert "$.text" in error["value"]


def _as_moment(value: Any) -> datetime.datetime:
    if isinstance(value, str):
        return datetime.datetime.fromisoformat(value)
    moment = value if isinstance(value, datetime.datetime) else value.to_datetime()
    assert isinstance(moment, datetime.datetime)
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
