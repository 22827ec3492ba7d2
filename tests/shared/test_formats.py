"""What all body formats have in common, each test run over every one of them."""

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toto._core.formats.envelope import parameters
from toto._core.formats.errors import MalformedBody, NotSerializable
from toto._core.formats.format import Format
from toto._core.formats.registry import FormatRegistry

REGISTRY = FormatRegistry(msgpack_enabled=True, bson_enabled=True)
NAMES = ["json", "msgpack", "bson"]

Key = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
Leaf = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
Value = st.recursive(
    Leaf,
    lambda value: st.lists(value, max_size=4) | st.dictionaries(Key, value, max_size=4),
    max_leaves=10,
)


@pytest.fixture(params=NAMES)
def body_format(request: pytest.FixtureRequest) -> Format:
    return format_named(request.param)


def format_named(name: str) -> Format:
    found = REGISTRY.by_name(name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", NAMES)
@given(value=Value)
def test_what_is_encoded_decodes_to_the_same(name: str, value: object) -> None:
    """Results come back as they went, in every format."""
    body_format = format_named(name)

    assert body_format.loads(body_format.result(value)) == {"result": value}
    assert body_format.loads(body_format.dumps({"a": value})) == {"a": value}
    assert body_format.loads(body_format.error({"code": 1, "value": value})) == {
        "error": {"code": 1, "value": value}
    }


@pytest.mark.parametrize("name", NAMES)
@given(values=st.lists(Value, max_size=20))
def test_spliced_lists_equal_the_list_encoded_whole(name: str, values: list[object]) -> None:
    """Items encoded one by one join to the very bytes of the whole list."""
    body_format = format_named(name)

    items = [body_format.encode_item(value) for value in values]

    assert body_format.join_list(iter(items)) == body_format.result(values)
    frames = [body_format.item_prefix + item + body_format.item_suffix for item in items]
    assert [body_format.loads(frame) for frame in frames] == [{"result": v} for v in values]


@pytest.mark.parametrize("name", NAMES)
@given(results=st.dictionaries(Key, Value, max_size=20), session=st.none() | Value)
def test_spliced_batches_equal_the_batch_encoded_whole(
    name: str, results: dict[str, object], session: object
) -> None:
    """Finished envelopes join to the very bytes of the whole batch, with a session or without."""
    body_format = format_named(name)
    members = [(key, body_format.result(value)) for key, value in results.items()]
    whole: dict[str, object] = {"batch": {key: {"result": value} for key, value in results.items()}}

    assert body_format.join_batch(iter(members)) == body_format.dumps(whole)
    whole["session"] = session
    encoded = body_format.encode_item(session)
    joined = body_format.with_session(body_format.join_batch(members), encoded)
    assert joined == body_format.dumps(whole)


def value_or_malformed(body_format: Format, body: bytes) -> None:
    for function in (body_format.loads, body_format.open_envelope, body_format.member_method):
        try:
            function(body)
        except MalformedBody as error:
            assert 0 < len(error.reason) < 200


@pytest.mark.parametrize("name", NAMES)
@given(body=st.binary(max_size=64))
@example(body=b"")
def test_any_bytes_give_a_value_or_malformed_body(name: str, body: bytes) -> None:
    """Nothing else comes out of decoding, opening or asking for the method."""
    value_or_malformed(format_named(name), body)


@pytest.mark.parametrize("name", NAMES)
@given(
    value=st.fixed_dictionaries({"method": Value, "batch": st.dictionaries(Key, Value)}),
    position=st.integers(0, 1000),
    put=st.binary(max_size=6),
    cut=st.integers(0, 6),
)
def test_damaged_bodies_give_a_value_or_malformed_body(
    name: str, value: dict[str, object], position: int, put: bytes, cut: int
) -> None:
    """A body with some bytes changed is no other case."""
    body_format = format_named(name)
    body = body_format.dumps(value)
    position %= len(body)

    body = body[:position] + put + body[position + cut :]

    value_or_malformed(body_format, body)
    if name == "bson" and len(body) >= 4:
        value_or_malformed(body_format, len(body).to_bytes(4, "little") + body[4:])


@pytest.mark.parametrize(
    ("name", "result", "error", "batch", "end"),
    [
        (
            "json",
            b'{"result":[1,"\xc3\xa9"]}',
            b'{"error":{"code":7}}',
            b'{"batch":{"k":{"result":1}},"session":"s"}',
            b'{"end":true}',
        ),
        (
            "msgpack",
            b"\x81\xa6result\x92\x01\xa2\xc3\xa9",
            b"\x81\xa5error\x81\xa4code\x07",
            b"\x82\xa5batch\x81\xa1k\x81\xa6result\x01\xa7session\xa1s",
            b"\x81\xa3end\xc3",
        ),
        (
            "bson",
            b"\x23\0\0\0\x04result\0\x16\0\0\0\x100\0\x01\0\0\0\x021\0\x03\0\0\0\xc3\xa9\0\0\0",
            b"\x1b\0\0\0\x03error\0\x0f\0\0\0\x10code\0\x07\0\0\0\0\0",
            (
                b"\x34\0\0\0\x03batch\0\x19\0\0\0\x03k\0\x11\0\0\0\x10result\0\x01\0\0\0\0\0"
                b"\x02session\0\x02\0\0\0s\0\0"
            ),
            b"\x0b\0\0\0\x08end\0\x01\0",
        ),
    ],
)
def test_envelopes_are_these_bytes(
    name: str, result: bytes, error: bytes, batch: bytes, end: bytes
) -> None:
    """The envelopes of the contract, to the byte."""
    body_format = format_named(name)

    assert body_format.result([1, "\u00e9"]) == result
    assert body_format.error({"code": 7}) == error
    joined = body_format.join_batch([("k", body_format.result(1))])
    assert body_format.with_session(joined, body_format.encode_item("s")) == batch
    encoded = [body_format.encode_item(1), body_format.encode_item("\u00e9")]
    assert body_format.join_list(encoded) == result
    assert body_format.end() == end


def test_a_frame_is_a_prefix_an_item_and_a_suffix(body_format: Format) -> None:
    """A writer may send the three parts without joining them; frames follow one another."""
    item = body_format.encode_item({"n": 1})

    frame = body_format.item_prefix + item + body_format.item_suffix

    assert body_format.loads(frame) == {"result": {"n": 1}}
    assert frame.endswith(b"\n") == (body_format.name == "json")


@pytest.mark.parametrize("name", NAMES)
@given(value=Value, session=Value)
def test_a_session_joins_any_envelope(name: str, value: object, session: object) -> None:
    """Results, errors and the end of a stream carry it as the envelope encoded whole would."""
    body_format = format_named(name)
    encoded = body_format.encode_item(session)

    for document in (body_format.result(value), body_format.error({"code": 1}), body_format.end()):
        whole = {**body_format.loads(document), "session": session}
        assert body_format.loads(body_format.with_session(document, encoded)) == whole


@pytest.mark.parametrize(
    ("document", "method"),
    [
        ({"method": "a.b", "parameters": {"x": 1}}, "a.b"),
        ({"parameters": {"method": "inner", "batch": {}}}, None),
        ({}, None),
    ],
)
def test_a_single_call_opens_to_its_method(
    body_format: Format, document: dict[str, Any], method: str | None
) -> None:
    """The top level alone tells the method, and lacking one is not an error yet."""
    body = body_format.dumps(document)

    assert body_format.open_envelope(body) == (method, None)
    assert body_format.member_method(body) == method


def test_a_batch_opens_to_its_members_documents(body_format: Format) -> None:
    """Each member is a body of its own, in the order the client gave."""
    members = {
        "b": {"method": "x.y", "parameters": [1, {"z": "\u00e9"}]},
        "a": {"method": "m"},
        "": {},
        "\u00e9" * 64: {"method": "m"},
    }

    envelope = body_format.open_envelope(body_format.dumps({"batch": members, "other": [1]}))

    assert envelope.method is None
    assert envelope.batch is not None
    assert list(envelope.batch) == list(members)
    documents = [member for member in envelope.batch.values() if member is not None]
    assert [body_format.loads(member) for member in documents] == list(members.values())
    assert [body_format.member_method(member) for member in documents] == [
        "x.y", "m", None, "m",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"method": None}, "the method must be a string"),
        ({"method": 1}, "the method must be a string"),
        ({"method": {"a": 1}}, "the method must be a string"),
        ({"method": ["a"], "batch": {"k": {}}}, "the method must be a string"),
        ({"method": "m", "batch": {"k": {}}}, "give either method or batch"),
        ({"batch": None}, "the batch must be an object"),
        ({"batch": []}, "the batch must be an object"),
        ({"batch": "x"}, "the batch must be an object"),
        ({"batch": {"k" * 65: {}}}, "a batch key is longer than 64 characters"),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused(
    body_format: Format, document: dict[str, Any], reason: str
) -> None:
    """The reason says what is wrong, in words a client may see."""
    with pytest.raises(MalformedBody) as caught:
        body_format.open_envelope(body_format.dumps(document))

    assert caught.value.reason == reason
    assert str(caught.value) == reason


@pytest.mark.parametrize("name", ["json", "msgpack"])
@pytest.mark.parametrize("value", [None, 1, "a", [], [{"method": "m"}], True, 1.5])
def test_a_body_must_be_an_object(name: str, value: object) -> None:
    """Anything but an object at the top level is malformed (BSON has nothing else)."""
    body_format = format_named(name)

    with pytest.raises(MalformedBody) as caught:
        body_format.open_envelope(body_format.dumps(value))

    assert caught.value.reason == "the body must be an object"


def test_a_member_may_not_hold_a_batch(body_format: Format) -> None:
    """Batches do not nest."""
    with pytest.raises(MalformedBody, match="a batch member may not hold a batch"):
        body_format.member_method(body_format.dumps({"batch": {"k": {"method": "m"}}}))


@pytest.mark.parametrize("junk", [1, "x", [], None, True])
def test_a_member_that_is_no_object_is_told_apart(body_format: Format, junk: object) -> None:
    """It is that member's error; the others keep their documents."""
    body = body_format.dumps({"batch": {"bad": junk, "good": {"method": "m"}}})

    batch = body_format.open_envelope(body).batch

    assert batch == {"bad": None, "good": body_format.dumps({"method": "m"})}


def test_a_batch_may_be_empty(body_format: Format) -> None:
    """An empty batch asks for an empty answer."""
    assert body_format.open_envelope(body_format.dumps({"batch": {}})) == (None, {})


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"method": "m", "parameters": {"x": 1}}, {"x": 1}),
        ({"method": "m", "parameters": None}, None),
        ({"method": "m", "x": 1}, {"method": "m", "x": 1}),
        ({}, {}),
    ],
)
def test_parameters_default_to_the_whole_body(document: object, expected: object) -> None:
    """A body without the key is its own parameters; a null is a null."""
    assert parameters(document) == expected


def test_parameters_need_an_object() -> None:
    """A list has no parameters."""
    with pytest.raises(MalformedBody, match="the body must be an object"):
        parameters([1])


class Text(str):
    """A str of another class, as enums and templating libraries make."""


def test_subclasses_of_plain_types_are_encoded_as_those(body_format: Format) -> None:
    """Tuples are lists, and a subclass of str serves as a key."""
    value = {Text("a"): (1, Text("b"), [(2,)])}

    assert body_format.loads(body_format.result(value)) == {"result": {"a": [1, "b", [[2]]]}}


def test_not_a_number_is_null_in_json_alone() -> None:
    """JSON has no NaN; the other formats carry it."""
    assert REGISTRY.json.result(math.nan) == b'{"result":null}'
    for name in ("msgpack", "bson"):
        body_format = format_named(name)
        assert math.isnan(body_format.loads(body_format.result(math.nan))["result"])


def circular() -> Any:
    value: dict[str, Any] = {}
    value["a"] = [value]
    return value


def deep() -> Any:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize("make", [circular, deep])
def test_endless_nesting_is_not_serializable(body_format: Format, make: Any) -> None:
    """A structure that holds itself is the method's error, told in a few words."""
    with pytest.raises(NotSerializable) as caught:
        body_format.result(make())
    with pytest.raises(NotSerializable, match="nested too deep"):
        body_format.error({"value": make()})

    assert "nested too deep" in caught.value.type_name
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("value", "path", "type_name"),
    [
        (object(), "$", "object"),
        ({"items": [0, 1, 2, {"when": {1}}]}, "$.items[3].when", "set"),
        ({"a": (1, {"b c": [frozenset()]})}, "$.a[1]['b c'][0]", "frozenset"),
        ({"k": {None: 1}}, "$.k", "key of type NoneType"),
        ({"k": {2.5: 1}}, "$.k", "key of type float"),
        ([10**30], "$[0]", "int"),
        ({"x" * 100: {1}}, "$." + "x" * 64, "set"),
        (["\ud800"], "$[0]", "str"),
    ],
)
def test_the_fault_is_named_with_its_path(
    body_format: Format, value: object, path: str, type_name: str
) -> None:
    """The method's author reads which value of the result was wrong, whatever the format."""
    with pytest.raises(NotSerializable) as caught:
        body_format.result(value)

    assert (caught.value.path, caught.value.type_name) == (path, type_name)
    if isinstance(value, dict):
        with pytest.raises(NotSerializable, match=type_name):
            body_format.dumps(value)
        with pytest.raises(NotSerializable, match=type_name):
            body_format.error(value)


def test_a_long_path_is_cut(body_format: Format) -> None:
    """An error text stays short however deep the fault sits."""
    value: Any = {1}
    for _ in range(60):
        value = {"a_rather_long_name": value}

    with pytest.raises(NotSerializable) as caught:
        body_format.result(value)

    assert len(caught.value.path) == 203
