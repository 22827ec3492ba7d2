"""Clients of WebSockets that are not there, do not read, or want too much; over a real socket."""

import asyncio
import itertools
import struct

import pytest
from websockets.frames import Opcode
from websockets.protocol import State

from toto_testkit.conversing import turns, until
from toto_testkit.jumping_loop import pass_time, run_jumping
from toto_testkit.socket_pair import MASK, Pair, frame, talk


def test_pings_come_every_20_seconds_and_pongs_keep_the_socket() -> None:
    """For hours."""

    async def scenario(pair: Pair) -> None:
        for count in range(1, 6):
            await pass_time(20.1)
            await until(lambda count=count: len(pair.frames) == count)  # type: ignore[misc]  # bound

    pair = talk(scenario)

    assert {each.opcode for each in pair.frames[:5]} == {Opcode.PING}
    assert pair.close_code == 1000


def test_a_client_without_pongs_is_closed() -> None:
    """It is not there any more."""

    async def scenario(pair: Pair) -> None:
        await turns()
        await pass_time(20.1)
        await turns()
        assert pair.protocol.state is State.OPEN
        await pass_time(20.1)
        await until(lambda: pair.protocol.state is not State.OPEN)
        await pass_time(5.1)

    talk(scenario, reads=False, leaves=False)


def test_a_long_message_under_way_excuses_a_missing_pong() -> None:
    """A client cannot answer in the middle of its own frame; one that stops there is closed."""

    async def scenario(pair: Pair) -> None:
        await turns()
        await pair.raw(b"\x82\xfe" + struct.pack("!H", 9000) + MASK + b"x")
        for _ in range(4):
            await turns()
            await pass_time(20.1)
            await pair.raw(b"x")
            await until(lambda: pair.protocol.reader.buffer)
            await turns()
            assert pair.protocol.state is State.OPEN
        await pass_time(20.1)
        await pass_time(20.1)
        await until(lambda: pair.protocol.state is not State.OPEN)
        await pass_time(5.1)

    talk(scenario, reads=False, leaves=False)


@pytest.mark.parametrize(
    ("first", "next_one"),
    [
        (b"\x82\xfe" + struct.pack("!H", 9000) + MASK, b"x"),
        (frame(0x01, b""), frame(0x00, b"x")),
        (frame(0x01, b"x"), frame(0x89, b"") + frame(0x00, b"")),
    ],
    ids=["one frame", "fragments", "fragments and pings"],
)
def test_a_message_that_trickles_in_for_ever_is_refused(first: bytes, next_one: bytes) -> None:
    """After five minutes, as an upload is."""

    async def scenario(pair: Pair) -> None:
        await turns()
        await pair.raw(first)
        for count in range(15):
            assert pair.protocol.state is State.OPEN, count
            await pair.raw(next_one)
            await turns()
            await pass_time(20.1)
            await turns()
        await until(lambda: pair.close_code)
        await pass_time(5.1)

    assert talk(scenario, leaves=False).close_code == 1008


def test_messages_that_follow_one_another_may_do_so_for_ever() -> None:
    """Even when each piece that is read ends in the middle of one."""

    async def scenario(pair: Pair) -> None:
        await turns()
        await pair.raw(frame(0x81, b"first")[:5])
        for count in range(40):
            await pair.raw(frame(0x81, b"first")[5:] + frame(0x81, b"first")[:5])
            await until(lambda count=count: len(pair.listener.messages) == count + 1)  # type: ignore[misc]  # bound
            await pass_time(20.1)
        assert pair.protocol.state is State.OPEN
        pair.client.close()

    talk(scenario, reads=False, leaves=False)


def test_a_client_that_takes_nothing_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    """After a minute, whoever sends to it learns that it has gone; it is no fault of ours."""

    async def scenario(pair: Pair) -> None:
        sending = asyncio.create_task(pair.connection.send((b"x" * 5_000_000,), is_text=True))
        for _ in range(3):
            await turns(100)
            assert not sending.done()
            await pass_time(19.9)
        await turns(100)
        await pass_time(60)
        with pytest.raises(ConnectionError):
            await sending

    talk(scenario, reads=False, leaves=False)

    assert caplog.records == []


def test_pings_that_nobody_reads_the_answers_of_are_not_read_for_ever() -> None:
    """The flood stops when little of it is answered, and its client is cut off."""

    async def scenario(pair: Pair) -> None:
        flood = asyncio.create_task(pair.raw(frame(0x89, b"x" * 125) * 20_000))
        await turns(2000)
        assert not flood.done()
        await pass_time(61)
        with pytest.raises(OSError, match=r"pipe|reset"):
            await flood

    talk(scenario, reads=False, leaves=False)


def test_many_small_frames_leave_the_loop_to_others() -> None:
    """One client must not hold up all the others."""

    async def scenario(pair: Pair) -> None:
        flood = asyncio.create_task(pair.raw(frame(0x81, b"x") * 20_000))
        seen: list[int] = []
        while len(pair.listener.messages) < 20_000:
            seen.append(len(pair.listener.messages))
            await asyncio.sleep(0)
        await flood
        steps = [after - before for before, after in itertools.pairwise(seen)]
        assert max(steps) < 2 * 300

    talk(scenario)


def test_a_cancelled_socket_says_goodbye() -> None:
    """The gateway stops, and calls under way have had their time."""

    async def main() -> Pair:
        pair = Pair()
        serving = asyncio.create_task(pair.connection.run(pair.listener))
        reading = asyncio.create_task(pair.read())
        await pair.text(b"x")
        await until(lambda: pair.listener.messages)
        serving.cancel()
        await reading
        with pytest.raises(asyncio.CancelledError):
            await serving
        pair.client.close()
        return pair

    pair = run_jumping(main())

    assert pair.close_code == 1001
    assert pair.listener.is_closed


def test_a_fault_of_the_listener_ends_the_socket() -> None:
    """It is for the caller to log."""

    async def scenario(pair: Pair) -> None:
        pair.listener.fault = RuntimeError("a fault")
        await pair.text(b"x")
        await until(lambda: pair.is_ended)

    with pytest.raises(RuntimeError, match="a fault"):
        talk(scenario, leaves=False)
