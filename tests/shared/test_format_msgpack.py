"""msgpack: what the library would let pass, literal bytes, and the limits."""

import time

import msgpack
import pytest

from toto._core.formats.errors import MalformedBody, NotSerializable
from toto._core.formats.limits import DecodeLimits
from toto._core.formats.msgpack_format import MsgpackFormat

MIB_2 = 2 * 1024 * 1024
FORMAT = MsgpackFormat(DecodeLimits())


def array_of(count: int) -> bytes:
    return b"\xdd" + count.to_bytes(4, "big")


@pytest.mark.parametrize(
    "body",
    [
        b"\x80" * MIB_2,
        b"\x90" * MIB_2,
        b"\x91" * MIB_2,
        b"\x81" * MIB_2,
        b"\x91" * 5_000 + b"\xc0",
        b"\x91" * 100_000 + b"\xc0",
        array_of(4_000_000_000),
        b"\xdf\xee\x6b\x28\x00",
        b"\xdb\xee\x6b\x28\x00" + b"a" * MIB_2,
        array_of(MIB_2 - 5) * (MIB_2 // 5),
        array_of(MIB_2) * 1_000 + b"\xc0" * (MIB_2 - 5_000),
        array_of(MIB_2) + b"\x80" * MIB_2,
        array_of(MIB_2) + b"\xc0" * MIB_2,
        (array_of(999_999) + b"\x80" * 999_998) * 2 + b"\xc0",
        array_of(3) + (array_of(MIB_2 // 3) + b"\x80" * (MIB_2 // 3)) * 3,
        b"\xdf\x00\x0a\x00\x00" + b"\xa1a\xc0" * 655_360,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_hostile_large_body_is_refused_quickly(body: bytes) -> None:
    """Neither decoding nor opening a 2 MiB body made to hurt takes long."""
    started = time.perf_counter()

    with pytest.raises(MalformedBody):
        FORMAT.loads(body)
    with pytest.raises(MalformedBody):
        FORMAT.open_envelope(body)

    assert time.perf_counter() - started < 2.0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x82\xa1a\x01\xa1a\x02", "a map has the same key twice"),
        (b"\x91\x82\xa1a\x01\xd9\x01a\x02", "a map has the same key twice"),
        (b"\x81\xc4\x01a\x01", "a map key is not a string"),
        (b"\x91\x91\x81\xc4\x01a\x01", "a map key is not a string"),
        (b"\xd4\x05a", "extension types are not accepted"),
        (b"\xc7\x02\x05ab", "extension types are not accepted"),
        (b"\xd6\xff\x00\x00\x00\x01", "the body holds a type that is not accepted"),
        (b"\x81\xa1a\x91\xd7\xff" + b"\0" * 8, "the body holds a type that is not accepted"),
        (b"\x91\xc7\x0c\xff" + b"\0" * 12, "the body holds a type that is not accepted"),
        (b"\x81\xa1a" * 1_000 + b"\xc0", "the body is nested too deep"),
        (b"\x91" * 65 + b"\xc0", "the body is nested too deep"),
        (b"\x01\x02", "bytes follow the msgpack value"),
        (b"\xa1\xff", "a string is not valid UTF-8"),
        (b"\xa3\xed\xa0\x80", "a string is not valid UTF-8"),
        (b"", "the body is not valid msgpack, or a map key is not a string"),
        (b"\xc1", "the body is not valid msgpack, or a map key is not a string"),
        (b"\x92\x01", "the body is not valid msgpack, or a map key is not a string"),
        (b"\x81\x01\x01", "the body is not valid msgpack, or a map key is not a string"),
        (b"\x81\x90\x01", "the body is not valid msgpack, or a map key is not a string"),
    ],
)
def test_what_is_not_strict_msgpack_is_refused(body: bytes, reason: str) -> None:
    """Extension types, odd keys, duplicates, deep nesting and stray bytes are malformed."""
    with pytest.raises(MalformedBody) as caught:
        FORMAT.loads(body)

    assert caught.value.reason == reason


def test_a_depth_of_64_and_binary_values_are_accepted() -> None:
    """The limit itself is within the limit, and binary data is a value like any other."""
    value = FORMAT.loads(b"\x91" * 64 + b"\xc4\x02\xd6\xff")

    for _ in range(64):
        (value,) = value
    assert value == b"\xd6\xff"


def test_the_node_budget_stops_the_decoding() -> None:
    """A body longer than the budget may not decode to more values than it."""
    small = MsgpackFormat(DecodeLimits(nodes_max=10))

    assert small.loads(b"\xac" + b"x" * 12) == "x" * 12
    assert small.loads(b"\x99" + b"\x01" * 8 + b"\xa2ab") == [1] * 8 + ["ab"]
    for body in (b"\x9a" + b"\x01" * 10, b"\x95\x92\x01\x01\x92\x01\x01\x90\x90\x81\xa1a\x01"):
        with pytest.raises(MalformedBody, match="the body has more than 10 values"):
            small.loads(body)


def test_opening_checks_the_top_level_only() -> None:
    """What the gateway need not decode is passed over, but must be whole."""
    strange = b"\x82\xa6method\xa1m\xaaparameters\x82\xa1a\xd4\x05a\xa1a\x01"

    assert FORMAT.open_envelope(strange) == ("m", None)
    with pytest.raises(MalformedBody, match="not valid msgpack"):
        FORMAT.open_envelope(strange[:-1])
    with pytest.raises(MalformedBody, match="bytes follow"):
        FORMAT.open_envelope(strange + b"\xc0")
    with pytest.raises(MalformedBody, match="same key twice"):
        FORMAT.open_envelope(b"\x82\xa6method\xa1m\xa6method\xa1n")
    with pytest.raises(MalformedBody, match="a map key is not a string"):
        FORMAT.open_envelope(b"\x81\x01\x01")


def test_batch_members_are_slices_of_the_body() -> None:
    """A member's odd but sound encoding reaches the worker as the client wrote it."""
    member = b"\xde\x00\x01\xd9\x06method\xda\x00\x01m"

    envelope = FORMAT.open_envelope(b"\x81\xa5batch\x81\xa1k" + member)

    assert envelope == (None, {"k": member})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: 2}, "not serializable as msgpack: $: key of type int"),
        ({"a": [{b"k": 2}]}, "not serializable as msgpack: $.a[0]: key of type bytes"),
        ([{"a": {(1, 2): 3}}], "not serializable as msgpack: $[0].a: key of type tuple"),
        (
            {"items": [0, 1, 2, {"when": {1, 2}}]},
            "not serializable as msgpack: $.items[3].when: set",
        ),
        ([2**64], "not serializable as msgpack: $[0]: int"),
        ({"a": {1}}, "not serializable as msgpack: $.a: set"),
    ],
)
def test_the_error_names_the_type_and_the_path(value: object, message: str) -> None:
    """A value msgpack cannot carry, or no client could decode, is named with its path."""
    with pytest.raises(NotSerializable) as caught:
        FORMAT.result(value)

    assert str(caught.value) == message


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_headers_grow_with_the_count(count: int) -> None:
    """Spliced lists and batches have the header that their length needs."""
    keys = [str(number) for number in range(count)]

    joined_list = FORMAT.join_list([b"\x07"] * count)
    joined_batch = FORMAT.join_batch([(key, b"\x81\xa6result\x07") for key in keys])

    assert msgpack.unpackb(joined_list) == {"result": [7] * count}
    assert msgpack.unpackb(joined_batch) == {"batch": {key: {"result": 7} for key in keys}}
