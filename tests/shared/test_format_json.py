"""JSON: what orjson would let pass, literal bytes, and the limits."""

import dataclasses
import datetime
import enum
import json
import time
import uuid
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toto._core.formats.errors import MalformedBody, NotSerializable
from toto._core.formats.json_format import JsonFormat
from toto._core.formats.limits import DecodeLimits

MIB_2 = 2 * 1024 * 1024
FORMAT = JsonFormat(DecodeLimits())
# A body over the length up to which strings are left in takes the other way through the checks.
PADDING = '"' + "x" * 5000 + '"'


class Colour(enum.StrEnum):
    RED = "red"


class Named(str, enum.Enum):  # noqa: UP042  # str() of it gives the member's name
    KEY = "key"


class Point(NamedTuple):
    x: int
    y: int


class Celsius(float):
    """Stands for numpy's float64, a subclass of float as well."""


@dataclasses.dataclass
class User:
    name: str
    extra: Any
    _secret: int = 0


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 5_000 + b"]" * 5_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * MIB_2,
        b"{" * MIB_2,
        b'"' * MIB_2,
        b"\\" * MIB_2,
        b"9" * MIB_2,
        b"1e" + b"9" * MIB_2,
        b"[" + b"[]," * (MIB_2 // 3 - 1) + b"0]",
        b"[" + b"0," * (MIB_2 // 2 - 1) + b"0]",
        b"[" + b"200000000000000000000," * (MIB_2 // 22) + b"0]",
        b'{"a":1,' + b'"a":1,' * (MIB_2 // 6 - 2) + b'"a":1}',
        b'["' + b'\\"' * (MIB_2 // 2 - 4) + b'\xff"]',
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
        (b'{"a":1,"a":2}', "an object has the same key twice"),
        (b'{"a":1,"\\u0061":2}', "an object has the same key twice"),
        (b'{"b":[{"c":{"a":1,"a":1}}]}', "an object has the same key twice"),
        (b'{"a":{"x":[{}]},"a":{"x":[{}]}}', "an object has the same key twice"),
        (b'{"a":{},"a":[]}', "an object has the same key twice"),
        (b'{"a":1,"a":2,"b":":"}', "an object has the same key twice"),
        (b'{"":1,"":2}', "an object has the same key twice"),
        (b"18446744073709551616", "an integer does not fit in 64 bits"),
        (b"-9223372036854775809", "an integer does not fit in 64 bits"),
        (b"[1e-1234567890123456789,100000000000000000000]", "an integer does not fit in 64 bits"),
        (b'{"a":[-100000000000000000000]}', "an integer does not fit in 64 bits"),
        (b"[" * 65 + b"]" * 65, "the body is nested deeper than 64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "the body is nested deeper than 64 levels"),
    ],
)
@pytest.mark.parametrize("padded", [False, True])
def test_what_orjson_lets_pass_is_refused(body: bytes, reason: str, padded: bool) -> None:
    """Duplicate keys, integers over 64 bits and deep nesting are malformed, in long bodies too."""
    if padded:
        body = b"[" + PADDING.encode() + b"," + body + b"]"

    with pytest.raises(MalformedBody) as caught:
        FORMAT.loads(body)

    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"nul",
        b"NaN",
        b"Infinity",
        b"[-Infinity]",
        b"1e999",
        b"-1e999",
        b"01",
        b"[1,]",
        b'{"a":1}x',
        b"{'a':1}",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\\ud800\\u0041"',
        b"\xef\xbb\xbf1",
        b'"a\nb"',
        b"\xff" * 100,
    ],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    """Bodies outside of the JSON grammar are malformed, and the reason does not echo them."""
    with pytest.raises(MalformedBody) as caught:
        FORMAT.loads(body)

    assert caught.value.reason.startswith("the body is not valid JSON: ")
    assert len(caught.value.reason) < 120


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":"{[:\\"}]"}', {"a": '{[:"}]'}),
        (b'{"a:":"\\\\","b\\"{":":"}', {"a:": "\\", 'b"{': ":"}),
        (b'{"\\\\\\"":"\\\\\\\\","c":"{{{{"}', {'\\"': "\\\\", "c": "{{{{"}),
        (b'["\\\\","}",{"a":"\\\\\\\\\\""}]', ["\\", "}", {"a": '\\\\"'}]),
        (b'["123456789012345678901234567890"]', ["123456789012345678901234567890"]),
        (b'["a\\"123456789012345678901234567890"]', ['a"123456789012345678901234567890']),
        (b"18446744073709551615", 18446744073709551615),
        (b"-9223372036854775808", -9223372036854775808),
        (b"[0.1234567890123456789012]", [0.12345678901234568]),
        (b"[12345678901234567890123.0]", [1.2345678901234568e22]),
        (b"[12345678901234567890123e1,1]", [1.2345678901234568e23, 1]),
        (b"[1e-0000000000000000000001]", [0.1]),
        (b"[1E+0000000000000000000001]", [10.0]),
        (b' { "a" : [ { } , [ ] ] } ', {"a": [{}, []]}),
        (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
        (b'{"a":{"b":1},"c":{"b":1}}', {"a": {"b": 1}, "c": {"b": 1}}),
        (b"null", None),
        (b'":"', ":"),
    ],
)
@pytest.mark.parametrize("padded", [False, True])
def test_sound_json_is_decoded(body: bytes, value: object, padded: bool) -> None:
    """Structure inside strings, and long digits inside floats, do not confuse the checks."""
    if padded and not body.startswith(b"[" * 64):
        body = b"[" + body + b"," + PADDING.encode() + b"]"
        value = [value, "x" * 5000]

    assert FORMAT.loads(body) == value


Text = st.text(alphabet='ab"\\{}[]:,\u00e9\u20ac0123456789', max_size=4)
Integer = st.sampled_from([0, -1, 2**63, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 10**25])
Scalar = Text | Integer | st.just(0.12345678901234567) | st.none() | st.booleans()
Node = st.recursive(
    Scalar.map(lambda value: ("scalar", value)),
    lambda node: (
        st.lists(node, max_size=3).map(lambda items: ("list", items))
        | st.lists(st.tuples(Text, node), max_size=3).map(lambda pairs: ("dict", pairs))
    ),
    max_leaves=12,
)


def render(node: Any, ascii_only: bool) -> tuple[str, bool]:
    """Write a node as JSON and tell whether it is sound."""
    kind, content = node
    if kind == "scalar":
        is_sound = not isinstance(content, int) or -(2**63) <= content < 2**64
        return json.dumps(content, ensure_ascii=ascii_only), is_sound
    if kind == "list":
        parts = [render(item, ascii_only) for item in content]
        return "[" + ",".join(text for text, _ in parts) + "]", all(ok for _, ok in parts)
    parts = [render(item, ascii_only) for _, item in content]
    keys = [key for key, _ in content]
    text = ", ".join(
        json.dumps(key, ensure_ascii=ascii_only) + " : " + part[0]
        for key, part in zip(keys, parts, strict=True)
    )
    return "{" + text + "}", all(ok for _, ok in parts) and len(set(keys)) == len(keys)


@given(Node, st.booleans(), st.booleans())
def test_a_body_is_refused_exactly_when_it_is_unsound(
    node: Any, ascii_only: bool, padded: bool
) -> None:
    """Any text with a duplicate key or a huge integer is malformed, and any other decodes."""
    text, is_sound = render(node, ascii_only)
    if padded:
        text = f"[{text},{PADDING}]"

    if is_sound:
        assert FORMAT.loads(text.encode()) == json.loads(text)
    else:
        with pytest.raises(MalformedBody):
            FORMAT.loads(text.encode())


def test_the_node_budget_counts_values_and_not_text() -> None:
    """A long body of few values passes; one value too many does not."""
    small = JsonFormat(DecodeLimits(nodes_max=10))

    assert small.loads(b'["' + b",[{" * 100 + b'"]') == [",[{" * 100]
    assert small.loads(b"[1,2,3,4,5,6,7,8]") == [1, 2, 3, 4, 5, 6, 7, 8]
    with pytest.raises(MalformedBody, match="the body has more than 10 values"):
        small.loads(b"[1,2,3,4,5,6,7,8,9,10]")


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({"a": (1, [2.5, None, True])}, b'{"a":[1,[2.5,null,true]]}'),
        ([float("nan"), float("inf")], b"[null,null]"),
        (
            datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC),
            b'"2024-05-06T07:08:09+00:00"',
        ),
        (uuid.UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        ({Colour.RED: Colour.RED, Named.KEY: 1}, b'{"red":"red","key":1}'),
        (User("ann", (1,)), b'{"name":"ann","extra":[1]}'),
        (User("ann", {Colour.RED: 1}), b'{"name":"ann","extra":{"red":1}}'),
        ({"p": Point(1, 2)}, b'{"p":[1,2]}'),
        ([Celsius(1.5)], b"[1.5]"),
    ],
)
def test_python_values_with_a_json_form_are_encoded(value: object, body: bytes) -> None:
    """Tuples of any kind, enums as keys, datetimes and dataclasses need no help of the method."""
    assert FORMAT.dumps(value) == body


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"x", "not serializable as json: $: bytes"),
        ({"a": {1}}, "not serializable as json: $.a: set"),
        ({"a b": [0, 2**64]}, "not serializable as json: $['a b'][1]: int"),
        ({"a": {1: 2}}, "not serializable as json: $.a: key of type int"),
        ({"a": User("ann", {"t": object()})}, "not serializable as json: $.a.extra.t: object"),
        (["\ud800"], "not serializable as json: $[0]: str"),
        ({"\ud800": 1}, "not serializable as json: $: key '\\ud800'"),
    ],
)
def test_the_error_names_the_type_and_the_path(value: object, message: str) -> None:
    """A value JSON cannot carry is named by its type and where it sits."""
    with pytest.raises(NotSerializable) as caught:
        FORMAT.result(value)

    assert str(caught.value) == message
