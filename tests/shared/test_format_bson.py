"""BSON: lying lengths, the limits, and values of its own types."""

import datetime
import time

import bson
import pytest

from toto._core.formats.bson_format import BsonFormat
from toto._core.formats.errors import MalformedBody, NotSerializable
from toto._core.formats.limits import DecodeLimits

MIB_2 = 2 * 1024 * 1024
FORMAT = BsonFormat(DecodeLimits())
EMPTY = b"\x05\0\0\0\0"


def nested(depth: int, kind: bytes = b"\x03") -> bytes:
    """Make a document of that many levels, each but the innermost with one key."""
    head = b"".join(
        (5 + 8 * level).to_bytes(4, "little") + b"%b0\0" % kind for level in range(depth - 1, 0, -1)
    )
    return head + EMPTY + b"\0" * (depth - 1)


def with_length(elements: bytes) -> bytes:
    return (5 + len(elements)).to_bytes(4, "little") + elements + b"\0"


@pytest.mark.parametrize(
    "body",
    [
        nested(5_000),
        nested(100_000),
        nested(MIB_2 // 8, b"\x04"),
        with_length(b"\x0a\0" * (MIB_2 // 2))[:-1],
        with_length(b"\x04a\0" + with_length(b"".join(b"\x0a%d\0" % n for n in range(1_000_001)))),
        with_length(b"\x03a\0" + b"\xff\xff\xff\x7f" + b"\0" * MIB_2),
        with_length(b"\x02a\0" + b"\xff\xff\xff\x7f" + b"\0" * MIB_2),
        with_length(b"\x05a\0" + b"\xff\xff\xff\xff\0" + b"\0" * MIB_2),
        b"\0" * MIB_2,
        b"\xff" * MIB_2,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_hostile_large_body_is_refused_quickly(body: bytes) -> None:
    """Decoding a body made to hurt does not take long."""
    started = time.perf_counter()

    with pytest.raises(MalformedBody):
        FORMAT.loads(body)

    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x04\0\0\0",
        EMPTY + b"\0",
        EMPTY[:-1],
        b"\x06" + EMPTY[1:],
        b"\xff\xff\xff\xff\0",
        with_length(b"\x02a\0\x02\0\0\0\xff\0"),
        with_length(b"\x02a\0\x63\0\0\0b\0"),
        with_length(b"\x99a\0"),
        with_length(b"\x10a"),
        with_length(b"\x03a\0\x04\0\0\0"),
        with_length(b"\x09a\0" + b"\xff" * 7 + b"\x7f"),
    ],
)
def test_what_is_not_bson_is_refused(body: bytes) -> None:
    """Lengths that lie, unknown types and broken strings are malformed."""
    with pytest.raises(MalformedBody):
        FORMAT.loads(body)
    with pytest.raises(MalformedBody):
        FORMAT.open_envelope(body)


def test_the_depth_limit_holds_exactly() -> None:
    """A body of 64 levels decodes, one of 65 does not, be they documents or arrays."""
    for kind in (b"\x03", b"\x04"):
        FORMAT.loads(nested(64, kind))
        with pytest.raises(MalformedBody, match="nested too deep"):
            FORMAT.loads(nested(65, kind))


def test_the_node_budget_holds() -> None:
    """A body longer than the budget may not decode to more values than it."""
    small = BsonFormat(DecodeLimits(nodes_max=10))
    text = {"a": "x" * 100}

    assert small.loads(bson.encode(text)) == text
    with pytest.raises(MalformedBody, match="the body has more than 10 values"):
        small.loads(bson.encode({"a": list(range(10))}))


def test_values_of_its_own_types_reach_the_method() -> None:
    """Object ids, datetimes and binary data come as the bson package gives them."""
    parameters = {
        "id": bson.ObjectId("0123456789ab0123456789ab"),
        "when": datetime.datetime(2024, 5, 6, 7, 8, 9),  # noqa: DTZ001  # bson's default
        "data": b"\x00\xff",
    }
    body = bson.encode({"method": "m", "parameters": parameters})

    assert FORMAT.loads(body)["parameters"] == parameters
    assert FORMAT.open_envelope(body) == ("m", None)


def test_opening_passes_over_the_parameters() -> None:
    """A string that does not decode inside the parameters is the worker's to refuse."""
    broken = with_length(b"\x02a\0\x02\0\0\0\xff\0")
    body = with_length(b"\x02method\0\x02\0\0\0m\0\x03parameters\0" + broken)

    assert FORMAT.open_envelope(body) == ("m", None)
    with pytest.raises(MalformedBody, match="not valid BSON"):
        FORMAT.loads(body)


def test_code_is_not_a_method_name() -> None:
    """BSON's JavaScript type, a subclass of str in Python, does not name a method."""
    with pytest.raises(MalformedBody, match="the method must be a string"):
        FORMAT.open_envelope(bson.encode({"method": bson.Code("m")}))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([2**63], "not serializable as bson: $[0]: int"),
        ({"a": {1: 2}}, "not serializable as bson: $.a: key of type int"),
        ({"a\0": 2}, "not serializable as bson: $: key 'a\\x00'"),
        ({"a": {1, 2}}, "not serializable as bson: $.a: set"),
    ],
)
def test_the_error_names_the_type_and_the_path(value: object, message: str) -> None:
    """A value BSON cannot carry is named by its type and where it sits."""
    with pytest.raises(NotSerializable) as caught:
        FORMAT.result(value)

    assert str(caught.value) == message


def test_only_a_dict_is_a_document() -> None:
    """A bare value has no BSON form of its own; as a result or an item it has."""
    with pytest.raises(NotSerializable, match=r"\$: list instead of dict"):
        FORMAT.dumps([1])

    assert FORMAT.dumps({}) == EMPTY
    assert FORMAT.encode_item(7) == b"\x11\0\0\0\x10result\0\x07\0\0\0\0"
