"""One WebSocket over a real socket: frames, the rules for them, and goodbyes."""

import asyncio
import socket
import struct

import pytest
from websockets.frames import Opcode

from toto_testkit.conversing import turns, until
from toto_testkit.jumping_loop import pass_time
from toto_testkit.socket_pair import MASK, MESSAGE_BYTES_MAX, Pair, frame, talk


def test_messages_come_whole_and_in_order() -> None:
    """Texts and bytes, in one frame and in several, with a ping between the parts."""

    async def scenario(pair: Pair) -> None:
        await pair.text("h\u00e9".encode())
        await pair.binary(b"\xff\x00")
        await pair.text(b"\xc3", fin=False)
        await pair.raw(frame(0x89, b"are you there"))
        await pair.more(b"", fin=False)
        await pair.more(b"\xa9", fin=True)
        await pair.binary(b"")
        await until(lambda: len(pair.listener.messages) == 4)

    pair = talk(scenario)

    assert pair.listener.messages == [
        ("h\u00e9".encode(), True),
        (b"\xff\x00", False),
        ("\u00e9".encode(), True),
        (b"", False),
    ]
    pongs = [bytes(each.data) for each in pair.frames if each.opcode is Opcode.PONG]
    assert pongs == [b"are you there"]


def test_messages_go_out_as_frames_of_their_kind() -> None:
    """Several at once are still several."""

    async def scenario(pair: Pair) -> None:
        pair.connection.put(b"a", is_text=True)
        await pair.connection.send((b"b", b"c"), is_text=False)
        await pair.connection.send((b"x" * 300_000,), is_text=True)
        await until(lambda: len(pair.frames) == 4)

    pair = talk(scenario)

    assert [(each.opcode, len(each.data)) for each in pair.frames[:4]] == [
        (Opcode.TEXT, 1),
        (Opcode.BINARY, 1),
        (Opcode.BINARY, 1),
        (Opcode.TEXT, 300_000),
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(0x81, b"x", is_masked=False), 1002),
        (frame(0xC1, b"x"), 1002),
        (frame(0x83, b"x"), 1002),
        (frame(0x8B, b"x"), 1002),
        (frame(0x09, b"x"), 1002),
        (frame(0x89, b"x" * 126), 1002),
        (frame(0x80, b"x"), 1002),
        (frame(0x01, b"x") + frame(0x81, b"x"), 1002),
        (frame(0x88, b"\x03"), 1002),
        (frame(0x88, struct.pack("!H", 1005)), 1002),
        (frame(0x88, struct.pack("!H", 999)), 1002),
        (frame(0x88, struct.pack("!H", 1000) + b"\xff"), 1007),
        (frame(0x81, b"\xff"), 1007),
        (frame(0x81, b"\xed\xa0\x80"), 1007),
        (frame(0x01, b"\xc3") + frame(0x80, b"x"), 1007),
        (b"\x82\xff" + struct.pack("!Q", 2**62) + MASK, 1009),
        (b"\x82\xfe" + struct.pack("!H", MESSAGE_BYTES_MAX + 1) + MASK, 1009),
        (frame(0x02, b"x" * 6000) + frame(0x80, b"x" * 4001), 1009),
    ],
)
def test_who_breaks_the_rules_is_told_so_and_closed(data: bytes, code: int) -> None:
    """And nothing that follows is read any more (RFC 6455, 7.1.7)."""

    async def scenario(pair: Pair) -> None:
        await pair.raw(data + frame(0x81, b"too late"))
        await until(lambda: pair.is_ended)

    pair = talk(scenario, leaves=False)

    assert pair.close_code == code
    assert pair.listener.messages == []


def test_a_message_of_the_greatest_length_is_read() -> None:
    """Also in many parts of one byte, which are joined as they come."""

    async def scenario(pair: Pair) -> None:
        await pair.binary(b"x" * MESSAGE_BYTES_MAX)
        await pair.raw(frame(0x02, b"x") + frame(0x00, b"x") * 4998 + frame(0x80, b"x"))
        await until(lambda: len(pair.listener.messages) == 2)

    assert [len(body) for body, _ in talk(scenario).listener.messages] == [MESSAGE_BYTES_MAX, 5000]


def test_a_client_that_leaves_gets_its_goodbye_back() -> None:
    """Then the server ends the connection (RFC 6455, 7.1.1)."""

    async def scenario(pair: Pair) -> None:
        await pair.leave(4321)
        await until(lambda: pair.is_ended)
        pair.connection.put(b"too late", is_text=True)
        with pytest.raises(ConnectionError):
            await pair.connection.send((b"too late",), is_text=True)

    assert talk(scenario, leaves=False).close_code == 4321


def test_a_connection_that_breaks_ends_the_socket() -> None:
    """Without a word."""

    async def scenario(pair: Pair) -> None:
        await turns()
        pair.client.shutdown(socket.SHUT_RDWR)

    assert talk(scenario, leaves=False).frames == []


def test_the_server_can_say_goodbye_and_waits_for_the_answer() -> None:
    """What the client still says is not listened to; to close twice does nothing more."""

    async def scenario(pair: Pair) -> None:
        pair.connection.close(1001)
        pair.connection.close(1001)
        assert pair.listener.is_closed
        await pair.raw(frame(0x81, b"too late"))
        await until(lambda: pair.is_ended)

    pair = talk(scenario, leaves=False)

    assert pair.close_code == 1001
    assert len(pair.frames) == 1
    assert pair.listener.messages == []


def test_a_client_that_does_not_answer_the_goodbye_is_cut_off() -> None:
    """A gateway that stops cannot wait for it for ever."""

    async def scenario(pair: Pair) -> None:
        pair.connection.close(1001)
        await turns()
        await pass_time(6)

    talk(scenario, reads=False, leaves=False)


def test_a_client_that_sends_on_after_a_violation_still_hears_why() -> None:
    """Bytes that nobody has read would make a reset out of the end, and drop the reason."""

    async def scenario(pair: Pair) -> None:
        flood = asyncio.create_task(pair.raw(b"\x82\xff" + b"\x10" * 3_000_000))
        await until(lambda: pair.close_code)
        await flood

    assert talk(scenario, leaves=False).close_code == 1009
