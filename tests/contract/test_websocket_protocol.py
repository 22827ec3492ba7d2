"""Frames that no honest client sends, and odd ones that are right (RFC 6455, sections 5 to 8)."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.http import ConnectionEnded
from toto_testkit.websocket import (
    Opcode,
    RawSocket,
    close,
    frame,
    open_raw,
    rss_mib,
    serving_sockets,
    text,
)

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

SIZE_MAX = 65_536
ECHO = b'{"method":"echo","parameters":"gr\xc3\xbc\xc3\x9fe \xf0\x9f\x98\x80"}'
ECHOED = {"result": "grüße \U0001f600"}
TEXT, BINARY, CONTINUATION = Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION
CLOSE, PING, PONG = Opcode.CLOSE, Opcode.PING, Opcode.PONG


@pytest.fixture(scope="module")
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One worker; a message may have 64 KiB."""
    directory = tmp_path_factory.mktemp("socket-protocol")
    with serving_sockets(directory, threads=2, max_body_size="64KiB") as started:
        yield started


@pytest.fixture(autouse=True)
def _still_served(sockets: Cluster) -> Iterator[None]:
    """After each test a new socket works."""
    yield
    with open_raw(sockets) as socket:
        assert socket.call("echo", 1) == {"result": 1}


@pytest.fixture
def socket(sockets: Cluster) -> Iterator[RawSocket]:
    """An open connection."""
    with open_raw(sockets) as opened:
        yield opened


# -- what breaks the protocol

RESERVED_OPCODES = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]
CONTROL = [CLOSE, PING, PONG]
BAD_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 65535]

VIOLATIONS: dict[str, bytes] = {
    "unmasked text": frame(TEXT, ECHO, mask=None),
    "unmasked empty binary": frame(BINARY, mask=None),
    "unmasked ping": frame(PING, b"a", mask=None),
    "unmasked close": frame(CLOSE, b"\x03\xe8", mask=None),
    **{f"reserved bits {bits} in text": frame(TEXT, ECHO, reserved=bits) for bits in range(1, 8)},
    **{f"a reserved bit in {op.name}": frame(op, reserved=1) for op in (BINARY, *CONTROL)},
    "a reserved bit in a continuation": frame(TEXT, ECHO, is_final=False)
    + frame(CONTINUATION, reserved=4),
    **{f"opcode {op}": frame(op) for op in RESERVED_OPCODES},
    **{f"opcode {op} with a payload": frame(op, b"x" * 200) for op in (3, 11)},
    "opcode 3 in a fragmented message": frame(TEXT, ECHO, is_final=False) + frame(3),
    **{f"fragmented {op.name}": frame(op, is_final=False) for op in CONTROL},
    **{f"{op.name} of 126 bytes": frame(op, b"\x03\xe8" + b"x" * 124) for op in CONTROL},
    "ping of 65536 bytes": frame(PING, b"x" * 65536),
    "continuation of nothing": frame(CONTINUATION, ECHO),
    "empty continuation of nothing": frame(CONTINUATION),
    "unfinished continuation of nothing": frame(CONTINUATION, ECHO, is_final=False),
    "continuation behind a whole message": frame(TEXT, ECHO) + frame(CONTINUATION, ECHO),
    "continuation behind a finished one": frame(TEXT, ECHO[:5], is_final=False)
    + frame(CONTINUATION, ECHO[5:])
    + frame(CONTINUATION, ECHO),
    "text inside a fragmented text": frame(TEXT, ECHO, is_final=False) + frame(TEXT, ECHO),
    "binary inside a fragmented text": frame(TEXT, ECHO, is_final=False) + frame(BINARY, ECHO),
    "a second beginning": frame(BINARY, is_final=False) + frame(TEXT, is_final=False),
    "close of one byte": frame(CLOSE, b"\x03"),
    **{f"close code {code}": close(code) for code in BAD_CODES},
    "a bad code with a reason": close(1005, b"because"),
}


@pytest.mark.parametrize("data", VIOLATIONS.values(), ids=VIOLATIONS)
def test_what_breaks_the_protocol_closes_with_1002(
    socket: RawSocket, data: bytes, tmp_path: Path
) -> None:
    """And the connection ends: a call right behind it does not run."""
    ran = tmp_path / "ran"
    assert socket.call("echo", 1) == {"result": 1}
    socket.send(data + text({"method": "socket.mark", "parameters": {"path": str(ran)}}))

    assert socket.read_close() == 1002
    assert not ran.exists()


@pytest.mark.parametrize(
    "data",
    [
        close(1000, b"\xff"),
        close(1000, b"\xc3"),
        close(4000, b"a\xed\xa0\x80"),
        close(1000, b"\x80"),
    ],
    ids=["ff", "cut off", "surrogate", "continuation"],
)
def test_a_reason_that_is_no_utf_8_closes_with_1007(socket: RawSocket, data: bytes) -> None:
    """It is text as well."""
    socket.send(data)

    assert socket.read_close() == 1007


# -- text that is no UTF-8

INVALID = {
    "ff": b"\xff",
    "continuation alone": b"\x80",
    "overlong slash": b"\xc0\xaf",
    "overlong of three": b"\xe0\x80\xaf",
    "overlong null": b"\xc0\x80",
    "surrogate": b"\xed\xa0\x80",
    "surrogate pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "cut off after one": b"\xc3",
    "cut off after two": b"\xe2\x82",
    "cut off after three": b"\xf0\x9f\x98",
    "interrupted": b"\xe2\x82a",
}


@pytest.mark.parametrize("wrong", INVALID.values(), ids=INVALID)
@pytest.mark.parametrize("where", ["alone", "in json", "behind"])
def test_text_that_is_no_utf_8_closes_with_1007(
    socket: RawSocket, wrong: bytes, where: str
) -> None:
    """Not with an answer: it is not a text message."""
    payload = {
        "alone": wrong,
        "in json": b'{"method":"echo","parameters":"' + wrong + b'"}',
        "behind": ECHO + wrong,
    }
    socket.send(frame(TEXT, payload[where]))

    assert socket.read_close() == 1007


@pytest.mark.parametrize("wrong", INVALID.values(), ids=INVALID)
def test_fragments_that_make_no_utf_8_close_with_1007(socket: RawSocket, wrong: bytes) -> None:
    """Byte by byte, with pings between them."""
    parts = [frame(CONTINUATION, wrong[i : i + 1], is_final=False) for i in range(len(wrong))]
    socket.send(frame(TEXT, b'"', is_final=False))
    try:
        for part in parts:
            socket.send(part + frame(PING, b"between"))
        socket.send(frame(CONTINUATION))
    except OSError:
        pass  # closed as soon as it was clear

    assert socket.read_close() == 1007


def test_binary_messages_need_be_no_utf_8(socket: RawSocket) -> None:
    """What is no msgpack is answered; the socket stays open."""
    socket.send(frame(BINARY, b"\xc1\xff\xff"))
    found = socket.read_frame()

    assert found.opcode == BINARY
    assert socket.call("echo", 1) == {"result": 1}


# -- too long

TOO_LONG: dict[str, bytes] = {
    "one frame": frame(TEXT, b"x" * (SIZE_MAX + 1)),
    "the head alone": frame(TEXT, size=SIZE_MAX + 1),
    "a binary head alone": frame(BINARY, size=2**40),
    "the greatest length": frame(BINARY, size=2**63 - 1),
    "two fragments": frame(TEXT, b"x" * SIZE_MAX, is_final=False) + frame(CONTINUATION, b"x"),
    "the head of a second fragment": frame(TEXT, b"x" * 60_000, is_final=False)
    + frame(CONTINUATION, size=6_000),
    "many fragments": frame(TEXT, b"x" * 1000, is_final=False)
    + frame(CONTINUATION, b"x" * 1000, is_final=False) * 65,
    "with pings between": frame(TEXT, b"x" * 60_000, is_final=False)
    + frame(PING, b"x" * 125) * 3
    + frame(CONTINUATION, b"x" * 6_000),
}


@pytest.mark.parametrize("data", TOO_LONG.values(), ids=TOO_LONG)
def test_a_message_that_is_too_long_closes_with_1009(socket: RawSocket, data: bytes) -> None:
    """As soon as it is clear, not when all has come."""
    socket.send(data)

    assert socket.read_close() == 1009


def test_a_message_of_the_greatest_size_is_taken(socket: RawSocket) -> None:
    """``max_body_size`` is the limit of a message; one byte more is too much."""
    room = SIZE_MAX - len(text_of(""))

    socket.send(frame(TEXT, text_of("x" * room)))
    assert socket.read_message() == {"result": "x" * room}
    socket.send(frame(TEXT, text_of("x" * (room + 1))))
    assert socket.read_close() == 1009


def text_of(value: str) -> bytes:
    return json.dumps({"method": "echo", "parameters": value}).encode()


def test_a_length_with_its_top_bit_set_is_none(socket: RawSocket) -> None:
    """It breaks the protocol, and is too long as well."""
    socket.send(frame(BINARY, size=2**63 + 5))

    assert socket.read_close() in {1002, 1009}


def test_control_frames_do_not_count(socket: RawSocket) -> None:
    """A message of the greatest size may have many of them in it."""
    message = b'{"method":"echo","parameters":"%s"}'
    message %= b"x" * (SIZE_MAX - len(message) + 2)
    half = len(message) // 2
    pings = frame(PING, b"p" * 125) * 20
    socket.send(
        frame(TEXT, message[:half], is_final=False)
        + pings
        + frame(CONTINUATION, message[half:])
        + frame(PING, b"last")
    )
    frames = [socket.read_frame() for _ in range(22)]

    assert sum(found.opcode == PONG for found in frames) == 21
    (answer,) = [found for found in frames if found.opcode == TEXT]
    assert len(answer.payload) > 65_000


# -- odd, and right

SPLIT = ECHO.index(b"\xc3") + 1  # in the middle of a character

ODD: dict[str, bytes] = {
    "a mask of zeros": frame(TEXT, ECHO, mask=b"\0\0\0\0"),
    "a mask of ones": frame(TEXT, ECHO, mask=b"\xff\xff\xff\xff"),
    "a length of two bytes": frame(TEXT, ECHO, size_bytes=2),
    "a length of eight bytes": frame(TEXT, ECHO, size_bytes=8),
    "two fragments": frame(TEXT, ECHO[:9], is_final=False) + frame(CONTINUATION, ECHO[9:]),
    "a character in two fragments": frame(TEXT, ECHO[:SPLIT], is_final=False)
    + frame(CONTINUATION, ECHO[SPLIT:]),
    "with a ping in the character": frame(TEXT, ECHO[:SPLIT], is_final=False)
    + frame(PONG, b"\xff")
    + frame(CONTINUATION, ECHO[SPLIT:]),
    "empty fragments": frame(TEXT, is_final=False)
    + frame(CONTINUATION, is_final=False) * 3
    + frame(CONTINUATION, ECHO, is_final=False)
    + frame(CONTINUATION),
    "a fragment for each byte": frame(TEXT, is_final=False)
    + b"".join(
        frame(CONTINUATION, ECHO[i : i + 1], is_final=i == len(ECHO) - 1) for i in range(len(ECHO))
    ),
    "another mask for each fragment": frame(TEXT, ECHO[:7], is_final=False, mask=b"abcd")
    + frame(CONTINUATION, ECHO[7:], mask=b"\x00\xff\x00\xff"),
    "pongs that nobody asked for": frame(PONG) + frame(PONG, b"x" * 125) + frame(TEXT, ECHO),
    "spaces around the object": frame(TEXT, b" \r\n\t" + ECHO + b"\n"),
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
def test_odd_frames_that_are_right_are_read(socket: RawSocket, data: bytes) -> None:
    """The message arrives as it was meant."""
    socket.send(data)

    assert socket.read_message() == ECHOED


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
def test_where_the_network_cuts_frames_does_not_matter(socket: RawSocket, data: bytes) -> None:
    """Byte by byte they are the same."""
    for position in range(len(data)):
        socket.send(data[position : position + 1])

    assert socket.read_message() == ECHOED


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("data", [b"", b" "])
def test_an_empty_message_is_answered(socket: RawSocket, opcode: Opcode, data: bytes) -> None:
    """It is no object, and no offence."""
    socket.send(frame(opcode, data))

    assert socket.read_frame().opcode == opcode
    assert socket.call("echo", 1) == {"result": 1}


def test_ten_thousand_fragments_harm_nobody(sockets: Cluster, socket: RawSocket) -> None:
    """They are one message; whether it is read or refused as too long, others are served."""
    payload = b'{"method":"echo","parameters":"' + b"x" * 9_990 + b'"}'
    parts = [frame(CONTINUATION, payload[i : i + 1], is_final=False) for i in range(len(payload))]
    socket.send(frame(TEXT, is_final=False) + b"".join(parts) + frame(CONTINUATION))
    with open_raw(sockets) as other:
        assert other.call("echo", 2) == {"result": 2}
    answer = socket.read_frame()

    if answer.opcode == CLOSE:
        assert struct.unpack("!H", answer.payload[:2]) == (1009,)
    else:
        assert len(answer.payload) > 9_990


def test_fragments_without_end_fill_no_memory(sockets: Cluster, socket: RawSocket) -> None:
    """Empty ones never reach the limit of a message; nothing is kept of them."""
    (pid,) = sockets.gateway_pids()
    before = rss_mib(pid)
    empty = frame(CONTINUATION, is_final=False) * 10_000
    is_open = True
    socket.send(frame(TEXT, is_final=False))
    try:
        for _ in range(30):
            socket.send(empty)
        socket.send(frame(CONTINUATION, ECHO))
        is_open = socket.read_frame().opcode == TEXT
    except (OSError, ConnectionEnded):
        is_open = False

    assert rss_mib(pid) - before < 20, is_open
