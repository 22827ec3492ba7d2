"""Relays whose Redis is away, silent, closes their connections, or refuses them."""

import asyncio
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from toto._wire.constants import EVENT_BYTES_MAX
from toto_gateway.events.relay_losses import Loss
from toto_gateway.events.relay_timing import RelayTiming
from toto_testkit.ports import free_port
from toto_testkit.redis_server import OwnRedis, silent_listener
from toto_testkit.relays import QUICK, connections, make_member, members, until
from toto_testkit.tcp_relay import TcpRelay

pytestmark = pytest.mark.usefixtures("no_leaks")

NOTICED_SECONDS = 1.5
"""Twice the silence, and what a busy machine adds."""
CLOSED_SECONDS = 1.0
FORMS = {
    "plain": "redis://127.0.0.1:{port}",
    "password": "redis://:pw@127.0.0.1:{port}/3",
    "cluster": "redis+cluster://127.0.0.1:{port}",
    "sentinel": "redis+sentinel://127.0.0.1:{port}/main",
    "unix": "unix:///nowhere/{port}.sock",
}


@pytest.fixture
def server() -> Iterator[OwnRedis]:
    """A server to stop and pause."""
    with OwnRedis() as started:
        yield started


def outage_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "toto.store"]


def test_stopped_server(server: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits, one line tells when it begins and one when it ends, and events flow again."""

    async def scenario() -> None:
        async with members(*[server.url] * 2) as (first, second):
            first.broadcast()
            await until(lambda: second.listener.numbers == [1])
            server.stop()
            await until(lambda: not first.relay.is_up and not second.relay.is_up)
            began_at = time.monotonic()
            for _ in range(100):
                first.broadcast()
                first.relay.offer("one", b"p")
            assert time.monotonic() - began_at < 0.3
            await asyncio.sleep(3 * QUICK.pause_seconds_max)
            assert len(outage_lines(caplog)) == 2

            server.start()
            await until(lambda: first.relay.is_up and second.relay.is_up)
            last = first.broadcast("last")
            await until(lambda: last in second.listener.events)
            numbers = second.listener.numbers
            assert numbers == sorted(set(numbers))

    asyncio.run(scenario())

    where = f"Redis at 127.0.0.1:{server.port} (events between gateway processes)"
    lines = outage_lines(caplog)
    assert len(lines) == 4
    assert [line.startswith(f"{where} is not available: ConnectionError:") for line in lines] == [
        *[True, True, False, False]
    ]
    assert lines[2:] == [f"{where} is available again"] * 2


def test_events_of_an_outage_are_lost(server: OwnRedis) -> None:
    """What was sent more than two seconds before the server is back is not delivered late."""
    times = [1000.0]

    async def scenario() -> None:
        async with members(server.url, server.url) as (first, second):
            server.stop()
            await until(lambda: not first.relay.is_up and not second.relay.is_up)
            first.relay._publisher._outbox._clock = lambda: times[0]  # the queue's own time
            for _ in range(10):
                first.broadcast()
            times[0] += 2.5
            server.start()
            await until(lambda: first.relay.is_up and second.relay.is_up)
            first.broadcast()

            await until(lambda: second.listener.events)
            assert second.listener.numbers == [11]
            assert first.relay.losses[Loss.TOO_OLD] == 10

    asyncio.run(scenario())


def test_nothing_piles_up(server: OwnRedis) -> None:
    """A silent server is given up, and what waits for it is bounded."""

    async def scenario() -> None:
        async with members(server.url, server.url, timing=RelayTiming()) as (first, _):
            server.pause()
            longest = 0.0
            for _ in range(200):
                began_at = time.monotonic()
                first.broadcast(payload=bytes(EVENT_BYTES_MAX))
                await asyncio.sleep(0)
                longest = max(longest, time.monotonic() - began_at)

            assert first.relay.losses[Loss.QUEUE_FULL] > 150
            assert longest < RelayTiming().command_seconds / 4
            await until(lambda: not first.relay.is_up)
            server.resume()
            await until(lambda: first.relay.is_up)

    asyncio.run(scenario())


def test_silent_server(server: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    """It is noticed without anything to send, and once it speaks again events flow."""

    async def scenario() -> None:
        async with members(server.url, server.url) as (first, second):
            second.listener.has_worker = True
            server.pause()
            began_at = time.monotonic()
            await until(lambda: not first.relay.is_up and not second.relay.is_up)
            assert time.monotonic() - began_at < NOTICED_SECONDS
            await asyncio.sleep(1.0)
            assert not first.relay.is_up
            server.resume()
            await until(lambda: first.relay.is_up and second.relay.is_up)
            event = first.broadcast()
            first.relay.offer("one", b"p")
            await until(lambda: event in second.listener.events)
            await until(lambda: second.listener.taken)

    asyncio.run(scenario())

    assert len(outage_lines(caplog)) == 4


def test_half_open_connections(server: OwnRedis) -> None:
    """A connection on which nothing arrives any more is replaced; the others are not."""

    async def scenario(port: int) -> None:
        url = f"redis://127.0.0.1:{port}"
        async with members(url, server.url) as (first, second):
            way.hold()
            await until(lambda: not first.relay.is_up, NOTICED_SECONDS)
            assert second.relay.is_up
            way.let_go()
            await until(lambda: first.relay.is_up)
            event = second.broadcast()
            await until(lambda: event in first.listener.events)

            way.cut()
            await until(lambda: not first.relay.is_up, NOTICED_SECONDS)
            await until(lambda: first.relay.is_up)
            event = second.broadcast()
            await until(lambda: event in first.listener.events)

    with TcpRelay(server.port) as way:
        asyncio.run(scenario(way.port))


def test_quick_restart_loses_nothing_that_waits(server: OwnRedis) -> None:
    """An idle connection that the server has closed is not used for the next event."""
    patient = RelayTiming(silence_seconds=30.0, pause_seconds=0.02, pause_seconds_max=0.05)

    async def scenario() -> None:
        async with members(server.url, server.url, timing=patient) as (first, second):
            server.stop()
            server.start()
            await until(lambda: second.relay._reading.is_up)
            await asyncio.sleep(0.1)
            await until(lambda: connections(server) == 2)  # the idle ones have not noticed

            event = first.broadcast()

            await until(lambda: event in second.listener.events)
            assert not first.relay.losses

    asyncio.run(scenario())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["closed", "silent"])
def test_closing_while_connecting(form: str, kind: str) -> None:
    """At any moment of it a relay closes soon, and leaves neither task nor connection."""

    async def scenario(port: int, seconds: float) -> float:
        member = make_member(FORMS[form].format(port=port), b"g", timing=RelayTiming())
        member.relay.start()
        member.broadcast()
        member.relay.offer("one", b"p")
        await asyncio.sleep(seconds)
        assert not member.relay.is_up
        began_at = time.monotonic()
        await member.relay.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return time.monotonic() - began_at

    with silent_listener() as silent_port:
        port = silent_port if kind == "silent" else free_port()
        for seconds in (0.0, 0.0001, 0.002, 0.1):
            assert asyncio.run(scenario(port, seconds)) < CLOSED_SECONDS


def test_closing_while_the_server_is_silent(server: OwnRedis) -> None:
    """With much that waits in all buffers, soon and without a rest."""

    async def scenario() -> float:
        member = make_member(server.url, b"g", timing=RelayTiming())
        member.relay.start()
        await until(lambda: member.relay.is_up)
        server.pause()
        for _ in range(50):
            member.broadcast(payload=bytes(EVENT_BYTES_MAX))
        await asyncio.sleep(0.05)
        began_at = time.monotonic()
        await member.relay.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return time.monotonic() - began_at

    assert asyncio.run(scenario()) < CLOSED_SECONDS
    server.resume()


def test_server_that_stops_reading(tmp_path: Path) -> None:
    """What it has not read when the relay closes is not kept for it: the connection has ended."""
    path = tmp_path / "redis.sock"  # the kernel takes less than an event for it

    async def received_after_closing(listener: socket.socket) -> int:
        loop = asyncio.get_running_loop()
        member = make_member(f"unix://{path}", b"g", timing=RelayTiming())
        member.relay.start()
        peers = [(await loop.sock_accept(listener))[0] for _ in range(2)]
        commands = [await loop.sock_recv(peer, 1000) for peer in peers]
        sender = next(
            p for p, command in zip(peers, commands, strict=True) if b"PUBLISH" in command
        )
        await loop.sock_sendall(sender, b":0\r\n")
        await until(lambda: member.relay._sending.is_up)
        member.broadcast(payload=bytes(EVENT_BYTES_MAX))
        await asyncio.sleep(0.05)
        await member.relay.close()
        count = 0
        while chunk := await loop.sock_recv(sender, 65536):
            count += len(chunk)
        for peer in peers:
            peer.close()
        return count

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        assert 0 < asyncio.run(received_after_closing(listener)) < EVENT_BYTES_MAX


def test_refused_by_the_server(server: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    """A user without the channels gets one line that says so, however often it is tried."""
    server.command("ACL", "SETUSER", "default", "resetchannels")

    async def scenario() -> None:
        member = make_member(server.url, b"g", timing=QUICK)
        member.relay.start()
        await asyncio.sleep(0.5)
        assert not member.relay.is_up
        assert len(caplog.records) == 1
        server.command("ACL", "SETUSER", "default", "allchannels")
        await until(lambda: member.relay.is_up)
        await member.relay.close()

    asyncio.run(scenario())

    lines = outage_lines(caplog)
    assert "NoPermissionError" in lines[0]
    assert lines[1].endswith("is available again")
    assert len(lines) == len(caplog.records) == 2


def test_wrong_password(caplog: pytest.LogCaptureFixture) -> None:
    """It is not in the log."""
    with OwnRedis(password="pw") as server:  # noqa: S106  # the server is the test's own

        async def scenario() -> None:
            member = make_member(f"redis://:wr0ng@127.0.0.1:{server.port}", b"g")
            member.relay.start()
            await until(lambda: caplog.records)
            await member.relay.close()

        asyncio.run(scenario())

    assert caplog.records[0].levelno == logging.ERROR
    assert "wr0ng" not in caplog.text
