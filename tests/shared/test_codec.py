"""Header frames: golden bytes, round trips, and any bytes at all."""

import contextlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toto._wire.codec import ProtocolError, decode, encode
from toto._wire.constants import FRAME_BYTES_MAX, PROTOCOL_VERSION
from toto._wire.messages import (
    KINDS,
    Announce,
    Ask,
    AskPart,
    Bounce,
    Busy,
    Bye,
    Call,
    Cancel,
    Closing,
    Credit,
    Decline,
    Drain,
    Event,
    Grant,
    Head,
    Hello,
    Item,
    Message,
    MethodInfo,
    Missed,
    Part,
    Ping,
    Publish,
    Push,
    Ready,
    Receipt,
    Refuse,
    Reply,
    RequestInfo,
    Result,
    SessionAnswer,
    SessionInfo,
    Slots,
    Subscribe,
    Want,
    Welcome,
    Withdraw,
)

REQUEST = RequestInfo(
    "r1",
    "POST",
    "/m",
    (("Host", "h"),),
    "127.0.0.1",
    "application/json",
    "json",
    None,
    SessionInfo("sid", b"rec", 1008, True),
)
ANSWER = SessionAnswer("sid", None, 1.5, "key", 1, b"ch")
ANSWER_BYTES = "96a3736964c0cb3ff8000000000000a36b657901c4026368"

GOLDEN: list[tuple[Message, str]] = [
    (
        Hello(
            b"wabc",
            7,
            "host",
            (MethodInfo("a.b", 0, 3), MethodInfo("c", 1, 0, 1500)),
            2,
            128,
            b"st",
        ),
        "9a040105c4047761626307a4686f73749294a3612e6200030094a1630100cd05dc02cc80c4027374",
    ),
    (Ready(Slots(1, 2, 3, 4)), "940402059401020304"),
    (Busy(Slots(0, 2, 3, 4)), "940403059400020304"),
    (Grant(1, 9), "95040405" + "0109"),
    (
        Result(
            *(1, 2, True, 0),
            Head(1, 201, "image/png", (("a", "b"),), ANSWER, True),
            *(Slots(1, 0, 9, 0), 3, 44),
        ),
        (
            "9b0405050102c3009601ccc9a9696d6167652f706e679192a161a162"
            "96a3736964c0cb3ff8000000000000a36b657901c4026368c39401000900032c"
        ),
    ),
    (Result(1, 2, False, 1000, None, None, 0, 0), "9b040505" + "0102c2cd03e8c0c00000"),
    (Item(1, 2, 3, True, None), "99040605" + "010203c3c0a0"),
    (Item(1, 2, 3, False, None, "k"), "99040605" + "010203c2c0a16b"),
    (Bounce(1, 2, Slots(0, 0, 1, 0)), "96040705" + "01029400000100"),
    (Bye(False), "94040805c2"),
    (
        Ask(7, 1, 2, "a.b", 9, SessionInfo("s", b"r")),
        "99040905" + "070102a3612e6209" + "94a173c4017200c2",
    ),
    (AskPart(7), "94040a0507"),
    (Withdraw(7), "94040b0507"),
    (Subscribe(("e", "f"), ("g",), True), "97040c05" + "92a165a16691a167c3c2"),
    (Publish("e", False), "95040d05" + "a165c2"),
    (Push(1, 2, True), "96040e05" + "0102c3"),
    (Announce(7, "e", True), "96041805" + "07a165c3"),
    (
        Welcome(("ipc:///a",), 262144, True),
        "96042005" + "91a86970633a2f2f2f61ce00040000c3",
    ),
    (
        Call(1, 2, "a.b", 0, 30000, 0, 5, REQUEST, True, 8),
        "9d042105" + "0102a3612e6200cd75300005" + "9ba27231a4504f5354a22f6d9192a4486f7374a168"
        "a93132372e302e302e31b06170706c69636174696f6e2f6a736f6ea46a736f6ec0"
        "94a3736964c403726563cd03f0c3" + "c2c2" + "c308",
    ),
    (Part(1, 2), "950422050102"),
    (Cancel(1, 2, True), "960423050102c3"),
    (Credit(1, 2, 65536), "96042405" + "0102ce00010000"),
    (Want(0, 3), "95042505" + "0003"),
    (Decline(9), "9404260509"),
    (Drain(), "93042705"),
    (Ping(), "93042805"),
    (Refuse("no"), "94042905a26e6f"),
    (Reply(7, True, 1000, ANSWER, False), "98042a05" + "07c3cd03e8" + ANSWER_BYTES + "c2"),
    (Event("e", True, b"o", 7, "3-0"), "98042b05" + "a165c3c4016f07a3332d30"),
    (Closing(), "93042c05"),
    (Missed(), "93042d05"),
    (Receipt(7), "94043805" + "07"),
]

counters = st.integers(0, 2**63 - 1)
texts = st.text(max_size=20)
lanes = st.integers(0, 1)
slots = st.builds(Slots, counters, counters, counters, counters)
headers = st.lists(st.tuples(texts, texts), max_size=4).map(tuple)
blobs = st.binary(max_size=20)
answers = st.builds(
    SessionAnswer,
    texts,
    st.none() | texts,
    st.floats(allow_nan=False),
    texts,
    st.integers(0, 2),
    blobs,
)
heads = st.builds(
    Head,
    st.integers(0, 2),
    st.one_of(st.just(0), st.integers(200, 599)),
    texts,
    headers,
    st.none() | answers,
    st.booleans(),
)
sessions = st.builds(SessionInfo, texts, blobs, counters, st.booleans())
requests = st.builds(
    RequestInfo,
    *(texts, texts, texts),
    headers,
    *(texts, texts, texts),
    st.none() | texts,
    sessions,
    *(st.booleans(), st.booleans()),
)
event_names = st.text(min_size=1, max_size=20)
name_lists = st.lists(event_names, max_size=3).map(tuple)
policies = st.integers(0, 127)
methods = st.lists(st.builds(MethodInfo, texts, lanes, policies, counters), max_size=4).map(tuple)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Hello, blobs, counters, texts, methods, counters, counters, blobs),
    st.builds(Ready, slots),
    st.builds(Busy, slots),
    st.builds(Grant, lanes, counters),
    st.builds(
        Result,
        counters,
        counters,
        st.booleans(),
        counters,
        st.none() | heads,
        st.none() | slots,
        counters,
        counters,
    ),
    st.builds(Item, counters, counters, counters, st.booleans(), st.none() | heads, texts),
    st.builds(Bounce, counters, counters, slots),
    st.builds(Bye, st.booleans()),
    st.builds(Ask, counters, counters, counters, texts, counters, sessions),
    st.builds(AskPart, counters),
    st.builds(Withdraw, counters),
    st.builds(Subscribe, name_lists, name_lists, st.booleans(), st.booleans()),
    st.builds(Publish, event_names, st.booleans()),
    st.builds(Push, counters, counters, st.booleans()),
    st.builds(Announce, counters, event_names, st.booleans()),
    st.builds(Reply, counters, st.booleans(), counters, st.none() | answers, st.booleans()),
    st.builds(Event, event_names, st.booleans(), blobs, counters, texts),
    st.just(Closing()),
    st.just(Missed()),
    st.builds(Receipt, counters),
    st.builds(Welcome, st.lists(texts, max_size=3).map(tuple), counters, st.booleans()),
    st.builds(
        Call,
        *(counters, counters, texts, lanes, counters, counters, counters),
        requests,
        st.booleans(),
        counters,
    ),
    st.builds(Part, counters, counters),
    st.builds(Cancel, counters, counters, st.booleans()),
    st.builds(Credit, counters, counters, counters),
    st.builds(Want, lanes, counters),
    st.builds(Decline, counters),
    st.just(Drain()),
    st.just(Ping()),
    st.builds(Refuse, texts),
)


@pytest.mark.parametrize(("message", "frame"), GOLDEN, ids=lambda value: type(value).__name__)
def test_the_bytes_of_each_message_are_fixed(message: Message, frame: str) -> None:
    """A change here is a new protocol version: mixed versions must not misread each other."""
    assert encode(message, 5).hex() == frame
    assert decode(bytes.fromhex(frame)) == (5, message)


def test_every_kind_has_golden_bytes() -> None:
    """No message is left without a vector."""
    assert {type(message) for message, _ in GOLDEN} == set(KINDS)


@given(messages, counters)
def test_a_message_survives_the_wire(message: Message, epoch: int) -> None:
    """What is encoded is decoded to the same values and type."""
    again = decode(encode(message, epoch))

    assert again == (epoch, message)
    assert type(again[1]) is type(message)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_protocol_error(frame: bytes) -> None:
    """Nothing a stranger sends raises anything else."""
    with contextlib.suppress(ProtocolError):
        decode(frame)


@given(messages, st.data())
def test_a_damaged_frame_gives_a_message_or_a_protocol_error(
    message: Message, data: st.DataObject
) -> None:
    """Neither does a frame with one byte changed, cut or added."""
    frame = bytearray(encode(message, 5))
    position = data.draw(st.integers(0, len(frame) - 1))
    frame[position] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(frame)))

    for damaged in (bytes(frame), bytes(frame[:end]), bytes(frame) + b"\0"):
        with contextlib.suppress(ProtocolError):
            decode(damaged)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)


@given(st.sampled_from(sorted(KINDS.values())), st.lists(json_like, max_size=9))
def test_wrong_fields_give_a_protocol_error_or_fit(kind: int, fields: list[object]) -> None:
    """Well-formed msgpack of the wrong shape is refused, not half understood."""
    frame = msgpack.packb([PROTOCOL_VERSION, int(kind), 5, *fields])

    try:
        _, message = decode(frame)
    except ProtocolError:
        return
    assert decode(encode(message, 5)) == (5, message)


V = PROTOCOL_VERSION


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "not a header frame"),
        (msgpack.packb([V - 1, 40, 5]), "unknown protocol version"),
        (msgpack.packb([True, 40, 5]), "unknown protocol version"),
        (msgpack.packb([V, 99, 5]), "unknown kind of message"),
        (msgpack.packb([V, 40, -1]), "expected a counter"),
        (msgpack.packb([V, 40, 5, 1]), "wrong number of fields"),
        (msgpack.packb([V, 37, 5, 2, 1]), "unknown lane"),
        (msgpack.packb([V, 37, 5, True, 1]), "unknown lane"),
        (msgpack.packb([V, 8, 5, 1]), "expected a flag"),
        (
            msgpack.packb([V, 5, 5, 1, 1, True, 0, [0, 99, "", [], None, False], None, 0, 0]),
            "an HTTP status",
        ),
        (
            msgpack.packb([V, 5, 5, 1, 1, True, 0, [9, 0, "", [], None, False], None, 0, 0]),
            "unknown mode",
        ),
        (
            msgpack.packb([V, 1, 5, b"w", 7, "h", [["m", 0, 128, 0]], 1, 1, b""]),
            "unknown policy",
        ),
        (
            msgpack.packb([V, 33, 5, 1, 1, "m" * 129, 0, 1, 0, 0, [], False, 0]),
            "expected a method name",
        ),
        (msgpack.packb([V, 41, 5, b"no"]), "expected text"),
        (msgpack.packb({"a": 1}), "not a header frame"),
        (b"\x91" * 2000 + b"\xc0", "not a header frame"),
        (b"\xdd\xff\xff\xff\xff", "not a header frame"),
        (b"\0" * (FRAME_BYTES_MAX + 1), "frame too long"),
    ],
)
def test_a_bad_frame_is_refused_with_its_reason(frame: bytes, reason: str) -> None:
    """The reason names the rule, never the frame's content."""
    with pytest.raises(ProtocolError, match=reason):
        decode(frame)
