"""Relays over a real Redis that is there all the time."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from toto._core.settings import SettingsError
from toto._wire.constants import EVENT_BYTES_MAX
from toto_gateway.events.relay import EventRelay
from toto_gateway.events.relay_losses import Loss
from toto_gateway.events.relay_messages import Back, Channels, Hand, RelayedEvent, encode
from toto_gateway.events.relay_outbox import BATCH_COUNT_MAX
from toto_gateway.events.relay_timing import RelayTiming
from toto_testkit.ports import free_port
from toto_testkit.redis_server import OwnRedis, OwnSentinel, has_tls, make_certificate
from toto_testkit.relays import (
    Listener,
    Member,
    connections,
    make_member,
    members,
    relay_settings,
    two_nodes,
    until,
)
from toto_testkit.tcp_relay import TcpRelay
from toto_testkit.waiting import poll_until

pytestmark = pytest.mark.usefixtures("no_leaks")

HAND_SECONDS = 0.9
"""Two round trips and the two milliseconds for claims; the rest is for a busy machine."""

PATIENT = RelayTiming(flush_seconds=5.0)


@pytest.fixture(scope="module")
def server() -> Iterator[OwnRedis]:
    """One server for all tests that leave it alone."""
    with OwnRedis() as started:
        yield started


def garbage() -> list[bytes]:
    """Return what is no message, and a handing over to everybody."""
    chance = random.Random(1)  # noqa: S311  # repeatable
    return [
        *(chance.randbytes(length) for length in (0, 1, 5, 50, 5000, 2 * EVENT_BYTES_MAX)),
        encode(RelayedEvent(b"x", 1, "e", b"p", ""))[:-1],
        encode(Hand(b"x", 1, 1, "e", b"p")),
    ]


def test_broadcasts_reach_all_others_once(server: OwnRedis) -> None:
    """In the order in which they were sent, from several origins; and nobody gets his own."""

    async def scenario() -> None:
        async with members(*[server.url] * 3) as (first, second, third):
            for number in range(300):
                first.broadcast(f"name {number % 3}", b"%d" % number, f"{number}-0")
                second.broadcast("e", bytes(1000))
                if number % 50 == 0:
                    await asyncio.sleep(0)
            await until(lambda: len(third.listener.events) == 600)
            await until(lambda: len(first.listener.events) == len(second.listener.events) == 300)
            await asyncio.sleep(0.05)

            heard = third.listener.events
            assert [event for event in heard if event.origin == b"g0"] == second.listener.events
            assert [event for event in heard if event.origin == b"g1"] == first.listener.events
            assert second.listener.numbers == first.listener.numbers == list(range(1, 301))
            assert second.listener.events[7] == (b"g0", 8, "name 1", b"7", "7-0")
            assert not any(member.relay.losses for member in (first, second, third))

    asyncio.run(scenario())


def test_large_events(server: OwnRedis) -> None:
    """Sixteen of the longest ones arrive whole."""

    async def scenario() -> None:
        async with members(server.url, server.url) as (first, second):
            sent = [
                first.broadcast("\N{CAT}" * 128, bytes([number]) * EVENT_BYTES_MAX)
                for number in range(16)
            ]
            await until(lambda: len(second.listener.events) == 16)
            assert second.listener.events == sent

    asyncio.run(scenario())


@pytest.mark.parametrize("takers", [0, 1, 3])
def test_offers(server: OwnRedis, takers: int) -> None:
    """Exactly one of the processes that have a worker gets an event."""

    async def scenario() -> None:
        async with members(*[server.url] * 4) as (origin, *others):
            for member in others[:takers]:
                member.listener.has_worker = True
            sent = Counter(("one", b"%d" % number) for number in range(30))
            began_at = time.monotonic()
            for name, payload in sent:
                origin.relay.offer(name, payload)

            if takers:
                await until(lambda: sum(taken(others).values()) == 30)
                assert time.monotonic() - began_at < HAND_SECONDS
                await asyncio.sleep(0.1)  # in which a second taker would show
                assert taken(others) == sent
                assert not taken(others[takers:])
            else:
                await until(lambda: origin.relay.losses == {Loss.NOT_TAKEN: 30})
                assert 0.9 < time.monotonic() - began_at < 2.0
                assert len(others[0].listener.asked) == 30 * 4
            assert origin.listener.taken == []

    asyncio.run(scenario())


def taken(of: list[Member]) -> Counter[tuple[str, bytes]]:
    return Counter(event for member in of for event in member.listener.taken)


def test_event_that_comes_back_goes_to_the_next(server: OwnRedis) -> None:
    """Of two claimers one has lost its worker when the event comes: the other one gets all."""

    async def scenario() -> None:
        async with members(*[server.url] * 3) as (origin, late, steady):
            late.listener.has_worker = late.listener.is_late = steady.listener.has_worker = True
            sent: list[tuple[str, bytes]] = []
            while not late.listener.refused:  # its claim may come after the choice
                sent.append(("one", b"%d" % len(sent)))
                origin.relay.offer(*sent[-1])
                await until(lambda: steady.listener.taken == sent)

            assert late.listener.taken == []

            late.listener.has_worker = False
            steady.listener.is_late = True
            origin.relay.offer("one", b"nobody's")
            await until(lambda: origin.relay.losses == {Loss.NOT_TAKEN: 1})
            assert steady.listener.taken == sent

    asyncio.run(scenario())


def test_worker_that_comes_back_within_the_second(server: OwnRedis) -> None:
    """An event waits for a worker that is being restarted, here or elsewhere."""

    async def scenario() -> None:
        async with members(server.url, server.url) as (first, second):
            for taker in (second, first):
                first.relay.offer("one", b"p")
                await asyncio.sleep(0.02)
                taker.listener.has_worker = True
                await until(lambda taker=taker: taker.listener.taken, 0.9)  # type: ignore[misc]  # a default
                taker.listener.has_worker = False

            assert first.listener.taken == second.listener.taken == [("one", b"p")]

    asyncio.run(scenario())


def test_garbage_on_the_channels(server: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be read is counted, told once, and does not disturb what follows."""
    channels = Channels("t:")

    async def scenario() -> None:
        async with members(server.url, server.url) as (first, second):
            second.listener.has_worker = True
            with redis.Redis(port=server.port) as stranger:
                for frame in garbage():
                    stranger.publish(channels.everyone, frame)
                    stranger.publish(channels.of(b"g1"), frame)
            first.broadcast()
            await until(lambda: second.listener.events)

            # The handing over was for nobody on the common channel, and valid on the other one.
            assert second.listener.taken == [("e", b"p")]
            assert second.relay.losses == {Loss.UNREADABLE: 2 * len(garbage()) - 1}
            assert first.relay.losses == {Loss.UNREADABLE: len(garbage())}
            assert len(caplog.records) == 2

    asyncio.run(scenario())


def test_listener_that_fails(server: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    """An event that cannot be passed on is logged, and the next one is."""

    class Broken(Listener):
        def on_relayed(self, event: RelayedEvent) -> None:
            super().on_relayed(event)
            if event.number == 1:
                raise ValueError("on purpose")

    async def scenario() -> None:
        broken = Broken()
        relay = EventRelay(relay_settings(server.url), b"broken", broken)
        async with members(server.url) as [sender]:
            relay.start()
            await until(lambda: relay.is_up)
            sender.broadcast()
            sender.broadcast()
            await until(lambda: broken.numbers == [1, 2])
            assert relay.is_up
            await relay.close()

    asyncio.run(scenario())

    [record] = caplog.records
    assert record.getMessage() == "an event of another gateway process could not be passed on"


def test_installations_are_apart(server: OwnRedis) -> None:
    """Another prefix or another database is another cluster."""

    async def scenario() -> None:
        urls = [server.url, server.url, f"{server.url}/3", f"{server.url}/3"]
        async with members(*urls) as (first, second, third, fourth):
            stranger = make_member(server.url, b"stranger", prefix="other:")
            stranger.relay.start()
            await until(lambda: stranger.relay.is_up)
            for member in (stranger, first, third):
                member.broadcast()
            await until(lambda: second.listener.events and fourth.listener.events)
            await stranger.relay.close()

            assert [event.origin for event in second.listener.events] == [b"g0"]
            assert [event.origin for event in fourth.listener.events] == [b"g2"]
            assert stranger.listener.events == []

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["unix", "password", "cluster", "sentinel", "tls"])
def test_kinds_of_redis(kind: str, tmp_path: Path) -> None:
    """Broadcasts and offers pass through every kind, and closing leaves no connection there."""
    if kind == "tls" and not has_tls():
        pytest.skip("this redis-server has no TLS, or there is no openssl")

    async def scenario(url: str) -> None:
        async with members(url, url, timing=PATIENT) as (first, second):
            second.listener.has_worker = True
            first.broadcast()
            first.relay.offer("one", b"p")
            await until(lambda: second.listener.events and second.listener.taken)

    with ExitStack() as stack:
        server = stack.enter_context(
            OwnRedis(
                password="pw" if kind == "password" else "",
                tls=make_certificate(tmp_path) if kind == "tls" else None,
                is_cluster=kind == "cluster",
            )
        )
        url = server.unix_url if kind == "unix" else server.url
        before = connections(server)
        if kind == "sentinel":
            url = stack.enter_context(OwnSentinel(server)).url
            before = connections(server)
        asyncio.run(scenario(url))
        poll_until(lambda: connections(server) <= before, 5.0, "all connections have ended")


def test_cluster_passes_events_between_its_nodes() -> None:
    """One process knows one node, another one the other, and a third one nodes that are away."""

    async def scenario(first_port: int, second_port: int) -> None:
        scheme = "redis+cluster://127.0.0.1:"
        many = f"{scheme}{free_port()},127.0.0.1:{free_port()},127.0.0.1:{second_port}"
        urls = f"{scheme}{first_port}", f"{scheme}{second_port}", many
        async with members(*urls) as (first, second, third):

            async def is_joined() -> bool:
                first.broadcast()
                await asyncio.sleep(0.02)
                return bool(second.listener.events)

            while not await is_joined():
                pass
            await until(lambda: second.listener.events[-1].number == first.sent)
            second.broadcast()
            await until(lambda: [event.origin for event in first.listener.events] == [b"g1"])
            await until(lambda: third.listener.events[-1].origin == b"g1")
            third.listener.has_worker = True
            first.relay.offer("one", b"p")
            await until(lambda: third.listener.taken)

    with two_nodes() as (one, two):
        asyncio.run(asyncio.wait_for(scenario(one.port, two.port), 30))


def test_closing_sends_what_waits(server: OwnRedis) -> None:
    """What was broadcast just before is not lost; after closing nothing is sent or taken."""

    async def scenario(way: TcpRelay) -> None:
        urls = f"redis://127.0.0.1:{way.port}", server.url
        async with members(*urls, timing=PATIENT) as (first, second):
            before = connections(server)
            way.hold()
            for _ in range(2 * BATCH_COUNT_MAX):
                first.broadcast()
            closing = asyncio.gather(first.relay.close(), first.relay.close())
            await asyncio.sleep(0.2)  # the second batch waits for the answers to the first
            way.let_go()
            await closing
            first.broadcast()
            first.relay.offer("one", b"p")
            first.relay.start()
            second.broadcast()

            await until(lambda: connections(server) == before - 2)
            await until(lambda: len(second.listener.events) == 2 * BATCH_COUNT_MAX)
            assert first.listener.events == []
            assert not first.relay.is_up

    with TcpRelay(server.port) as way:
        asyncio.run(scenario(way))


def test_closing_gives_back_what_it_is_handed(server: OwnRedis) -> None:
    """A relay that is about to close takes nothing more, and passes nothing more on."""
    own, origin = Channels("t:").of(b"g0"), Channels("t:").of(b"origin")

    async def scenario() -> None:
        async with members(server.url) as [member]:
            member.listener.has_worker = True
            with redis.Redis(port=server.port) as stranger, stranger.pubsub() as answers:
                answers.subscribe(origin)
                assert answers.get_message(timeout=5.0) is not None
                # The loop stands still here: it reads these while the relay closes.
                stranger.publish(own, encode(Hand(b"origin", 7, 2, "e", b"p")))
                stranger.publish("t:events", encode(RelayedEvent(b"origin", 1, "e", b"p", "")))
                member.broadcast()
                await member.relay.close()

                answer = answers.get_message(timeout=5.0)
                assert answer is not None
                assert answer["data"] == encode(Back(b"g0", 7, 2))
            assert member.listener.taken == []
            assert member.listener.events == []

    asyncio.run(scenario())


def test_before_the_start(server: OwnRedis) -> None:
    """What is sent before the connection is there waits for it, and a relay need not be started."""

    async def scenario() -> None:
        async with members(server.url) as [other]:
            other.listener.has_worker = True
            early = make_member(server.url, b"early")
            early.broadcast()
            early.relay.offer("one", b"p")
            early.relay.start()
            early.relay.start()
            await until(lambda: other.listener.events and other.listener.taken)
            await early.relay.close()

            unused = make_member(server.url, b"unused")
            unused.broadcast()
            await unused.relay.close()

    asyncio.run(scenario())


def test_unusable_url() -> None:
    """It is refused when the relay is made."""
    with pytest.raises(SettingsError):
        EventRelay(relay_settings("http://host"), b"g", Listener())
