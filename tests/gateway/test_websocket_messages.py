"""Messages of WebSockets: any bytes are understood or not, and answers are put together right."""

import json
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toto._core.failure import Failure
from toto._core.formats.format import Format
from toto._core.formats.registry import FormatRegistry
from toto._core.stores.record import SessionRecord
from toto._wire.messages import SessionAnswer
from toto_gateway.websocket.messages import (
    AddCredit,
    CancelCall,
    ChangeSession,
    ClientMessage,
    ServerMessages,
    SessionChange,
    StartCall,
    Unreadable,
    read_message,
)

REGISTRY = FormatRegistry(msgpack_enabled=True, bson_enabled=False)
NAMES = ["json", "msgpack"]
SESSION = SessionAnswer("s1", "ann", 1234.5, "k")
KINDS = (StartCall, AddCredit, CancelCall, ChangeSession, Unreadable)

Leaf = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=70)
Value = st.recursive(
    Leaf,
    lambda value: st.lists(value, max_size=3) | st.dictionaries(st.text(max_size=4), value),
    max_leaves=5,
)
Words = st.sampled_from(
    ["id", "method", "parameters", "batch", "credit", "cancel", "request_id", "session_id", "x"]
)
Message = st.dictionaries(Words | st.just("headers"), Value, max_size=6)


def format_named(name: str) -> Format:
    found = REGISTRY.by_name(name)
    assert found is not None
    return found


def read(message: Any, name: str = "json") -> ClientMessage:
    return read_message(format_named(name).dumps(message), format_named(name))


def call(**given: Any) -> StartCall:
    plain: dict[str, Any] = {"call_id": None, "method": "m", "batch": None, "credit": None}
    return StartCall(**{**plain, "request_id": "", "session": None, **given})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"method": "m", "parameters": {"a": 1}}, call()),
        ({"method": "m", "a": 1}, call()),
        ({"id": "x" * 64, "method": "m"}, call(call_id="x" * 64)),
        ({"id": 0, "method": "m"}, call(call_id=0)),
        ({"id": -(2**63), "method": "m"}, call(call_id=-(2**63))),
        ({"id": 2**64 - 1, "method": "m"}, call(call_id=2**64 - 1)),
        ({"method": "m", "credit": 1}, call(credit=1)),
        ({"method": "m", "request_id": "r/1"}, call(request_id="r/1")),
        ({"method": "m", "session_id": None}, call(session=SessionChange("", ()))),
        ({"method": "m", "session_id": "s"}, call(session=SessionChange("s", ()))),
        # Without parameters the whole object is what the method gets, so it may hold any words.
        ({"method": "m", "cancel": 1, "headers": 2, "x": 3}, call()),
        ({"batch": {}}, call(method="", batch={})),
        ({"id": 1, "batch": {"k": 1}}, call(call_id=1, method="", batch={"k": None})),
        ({"id": "a", "credit": 5}, AddCredit("a", 5)),
        ({"id": 1, "cancel": True}, CancelCall(1)),
        ({"id": 1, "cancel": True, "credit": 4}, CancelCall(1)),
        ({"session_id": "s"}, ChangeSession(None, SessionChange("s", ()))),
        ({"session_id": ""}, ChangeSession(None, SessionChange("", ()))),
        (
            {"id": 1, "session_id": "s", "headers": {"X-Toto-HMAC": "h"}},
            ChangeSession(1, SessionChange("s", (("X-Toto-HMAC", "h"),))),
        ),
    ],
)
def test_messages_are_understood(name: str, message: Any, expected: ClientMessage) -> None:
    """Every kind of message of the contract, in both formats."""
    assert read(message, name) == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("message", "call_id"),
    [
        ([], None),
        ("m", None),
        (None, None),
        ({}, None),
        ({"id": 1}, 1),
        ({"id": 1, "parameters": {}}, 1),
        ({"id": 1, "method": 5}, 1),
        ({"id": 1, "method": None}, 1),
        ({"id": 1, "batch": []}, 1),
        ({"id": 1, "method": "m", "batch": {}}, 1),
        ({"id": 1, "batch": {"k" * 65: {}}}, 1),
        ({"id": None, "method": "m"}, None),
        ({"id": True, "method": "m"}, None),
        ({"id": 1.0, "method": "m"}, None),
        ({"id": "", "method": "m"}, None),
        ({"id": "x" * 65, "method": "m"}, None),
        ({"id": [1], "method": "m"}, None),
        ({"id": "a", "method": "m", "credit": 0}, "a"),
        ({"id": "a", "method": "m", "credit": True}, "a"),
        ({"id": "a", "method": "m", "credit": 1.5}, "a"),
        ({"id": "a", "method": "m", "request_id": 1}, "a"),
        ({"id": "a", "method": "m", "session_id": 1}, "a"),
        ({"id": "a", "session_id": False}, "a"),
        ({"session_id": "s", "headers": []}, None),
        ({"session_id": "s", "headers": {"a": 1}}, None),
        ({"session_id": "s", "headers": {str(n): "" for n in range(17)}}, None),
        ({"cancel": True}, None),
        ({"credit": 1}, None),
        ({"id": 1, "cancel": False}, 1),
        ({"id": 1, "cancel": 1}, 1),
        ({"id": 1, "credit": -1}, 1),
    ],
)
def test_wrong_messages_are_unreadable_and_keep_their_id(
    name: str, message: Any, call_id: Any
) -> None:
    """The client learns which of its messages it was, if that can be found out."""
    answer = read(message, name)

    assert isinstance(answer, Unreadable)
    assert answer.call_id == call_id
    assert 0 < len(answer.reason) < 200


def test_an_id_beyond_64_bits_is_not_read() -> None:
    """It would come back as another number."""
    body = b'{"id":18446744073709551616,"method":"m"}'

    answer = read_message(body, format_named("json"))

    assert isinstance(answer, Unreadable)
    assert answer.call_id is None


def test_an_extension_type_for_an_id_is_not_read() -> None:
    """Only what the format accepts in a body is an id."""
    body = msgpack.packb({"id": msgpack.Timestamp(1), "method": "m"})

    assert isinstance(read_message(body, format_named("msgpack")), Unreadable)


@pytest.mark.parametrize("name", NAMES)
@given(body=st.binary(max_size=64))
@example(body=b"")
@example(body=b"\xff\xfe")
def test_any_bytes_are_a_message_or_unreadable(name: str, body: bytes) -> None:
    """Nothing else comes out, whatever a stranger sends."""
    assert isinstance(read_message(body, format_named(name)), KINDS)


@pytest.mark.parametrize("name", NAMES)
@given(message=Message, position=st.integers(0, 500), put=st.binary(max_size=4))
def test_damaged_messages_are_messages_or_unreadable(
    name: str, message: dict[str, Any], position: int, put: bytes
) -> None:
    """Objects with the right words in wrong places are no other case."""
    body = format_named(name).dumps(message)
    position %= len(body)

    for each in (body, body[:position] + put + body[position + 1 :]):
        answer = read_message(each, format_named(name))
        assert isinstance(answer, KINDS)
        if answer.call_id is not None:
            assert type(answer.call_id) in (int, str)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("call_id", [None, "x", 7, -(2**63), "\u00e9\n"])
@given(value=Value)
def test_answers_carry_their_id_and_are_not_encoded_again(
    name: str, call_id: Any, value: Any
) -> None:
    """The result is spliced as it came from the worker."""
    body_format = format_named(name)
    messages = ServerMessages(body_format, call_id)
    named = {} if call_id is None else {"id": call_id}

    answer = messages.answer(body_format.result(value))
    item = messages.item(body_format.encode_item(value), "")
    keyed = messages.item(body_format.encode_item(value), "k/1")

    assert body_format.loads(answer) == {**named, "result": value}
    assert body_format.loads(item) == {**named, "item": value}
    assert body_format.loads(keyed) == {**named, "item": value, "key": "k/1"}
    assert body_format.encode_item(value) in answer


def said(call_id: Any = 3) -> ServerMessages:
    return ServerMessages(format_named("json"), call_id)


def test_the_last_messages_of_streams_and_sessions() -> None:
    """What the gateway says of its own is in the call's format, with its id."""
    session = {"session_id": "s1", "expires": 1234.5, "user_id": "ann"}
    record = SessionRecord("s1", "ann", 1.0, 1234.5, key="k")

    assert json.loads(said().end(None)) == {"id": 3, "end": True}
    assert json.loads(said(None).end(SESSION)) == {"end": True, "session": session}
    assert json.loads(said().cancelled()) == {"id": 3, "end": True, "cancelled": True}
    assert json.loads(said().session(record)) == {"id": 3, "session": session}
    assert json.loads(said(None).session(None)) == {"session": None}
    assert json.loads(said().failure(Failure.draining(), "r1")) == {
        "id": 3,
        "error": {
            "code": 1104,
            "value": "The gateway is stopping.",
            "request_id": "r1",
            "retryable": True,
        },
    }


@pytest.mark.parametrize(("name", "is_text"), [("json", True), ("msgpack", False)])
def test_the_format_decides_the_kind_of_message(name: str, is_text: bool) -> None:
    """Text is JSON and binary is msgpack, in both directions."""
    assert ServerMessages(format_named(name), None).is_text is is_text
