"""Members of messages, spliced and read alone, in every format."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toto._core.formats.errors import MalformedBody
from toto._core.formats.format import Format
from toto._core.formats.registry import FormatRegistry

REGISTRY = FormatRegistry(msgpack_enabled=True, bson_enabled=True)
NAMES = ["json", "msgpack", "bson"]

Word = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
Leaf = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8)
Value = st.recursive(
    Leaf,
    lambda value: st.lists(value, max_size=4) | st.dictionaries(Word, value, max_size=4),
    max_leaves=8,
)


@pytest.fixture(params=NAMES)
def body_format(request: pytest.FixtureRequest) -> Format:
    return format_named(request.param)


def format_named(name: str) -> Format:
    found = REGISTRY.by_name(name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", NAMES)
@given(member=Value, value=Value, session=st.none() | Value)
def test_a_member_is_put_in_front_of_a_finished_envelope(
    name: str, member: object, value: object, session: object
) -> None:
    """The very bytes are those of the whole object, and the result was not decoded for it."""
    body_format = format_named(name)
    item = body_format.encode_item(member)
    envelope = body_format.result(value)
    with_session = body_format.with_session(envelope, body_format.encode_item(session))

    assert body_format.with_member(envelope, "id", item) == body_format.dumps(
        {"id": member, "result": value}
    )
    assert body_format.with_member(with_session, "id", item) == body_format.dumps(
        {"id": member, "result": value, "session": session}
    )


def test_a_member_fits_in_front_of_every_kind_of_envelope(body_format: Format) -> None:
    """Errors, batches and the ends of streams are put together by other ways than results."""
    item = body_format.encode_item("x")
    documents: list[tuple[bytes, dict[str, Any]]] = [
        (body_format.error({"code": 1}), {"error": {"code": 1}}),
        (body_format.join_batch([("k", body_format.result(1))]), {"batch": {"k": {"result": 1}}}),
        (body_format.join_list([item]), {"result": ["x"]}),
        (body_format.end(), {"end": True}),
    ]

    read = [body_format.loads(body_format.with_member(each, "id", item)) for each, _ in documents]

    assert read == [{"id": "x", **expected} for _, expected in documents]


@pytest.mark.parametrize("name", NAMES)
@given(members=st.dictionaries(Word, Value, max_size=5))
def test_items_join_to_an_object(name: str, members: dict[str, object]) -> None:
    """The very bytes are those of the object encoded whole."""
    body_format = format_named(name)

    items = [(key, body_format.encode_item(value)) for key, value in members.items()]

    assert body_format.join_object(iter(items)) == body_format.dumps(members)


@pytest.mark.parametrize("name", NAMES)
@given(members=st.dictionaries(Word, Value, max_size=5), wanted=st.lists(Word, max_size=5))
def test_only_the_members_that_are_wanted_are_read(
    name: str, members: dict[str, Any], wanted: list[str]
) -> None:
    """Those that are not there are left out; the method is read as from any body."""
    body_format = format_named(name)
    message = {**members, "method": "m"}
    message.pop("batch", None)
    wanted = [*wanted, *list(members)[:2]]

    envelope, read = body_format.open_message(body_format.dumps(message), wanted)

    assert envelope == ("m", None)
    assert read == {key: message[key] for key in wanted if key in message}


def test_a_message_is_read_with_its_batch_taken_apart(body_format: Format) -> None:
    """The members of the batch stay encoded, as they are in the body of a request."""
    message = {"id": 7, "batch": {"a": {"method": "m", "parameters": {"x": 1}}, "b": 1}}

    envelope, read = body_format.open_message(body_format.dumps(message), ("id", "credit"))

    assert read == {"id": 7}
    assert envelope.method is None
    assert envelope.batch is not None
    assert envelope.batch["b"] is None
    assert body_format.loads(envelope.batch["a"] or b"") == message["batch"]["a"]  # type: ignore[index]  # known to be a dict


@pytest.mark.parametrize("name", NAMES)
@given(body=st.binary(max_size=48))
def test_any_bytes_give_a_message_or_malformed_body(name: str, body: bytes) -> None:
    """Nothing else comes out of opening a message."""
    body_format = format_named(name)

    try:
        _, read = body_format.open_message(body, ("id", "credit"))
    except MalformedBody as error:
        assert 0 < len(error.reason) < 200
    else:
        assert set(read) <= {"id", "credit"}


def test_a_bad_member_of_a_msgpack_message_is_malformed() -> None:
    """Only the wanted members are decoded, and with all the limits of a body."""
    body_format = format_named("msgpack")
    extension = b"\xd4\x05\x00"

    wanted = b"\x82\xa6method\xa1m\xa2id" + extension
    unwanted = b"\x82\xa6method\xa1m\xa1x" + extension

    with pytest.raises(MalformedBody):
        body_format.open_message(wanted, ("id",))
    assert body_format.open_message(unwanted, ("id",)) == (("m", None), {})
