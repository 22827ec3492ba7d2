"""The parts of a relay that use connections, each by itself."""

import asyncio
import itertools
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import ConnectionError, TimeoutError

from toto_gateway.events.relay_connection import RedisConnection, RedisNodes
from toto_gateway.events.relay_health import RelayHealth
from toto_gateway.events.relay_link import Pauses, RelayLink, Work
from toto_gateway.events.relay_losses import Loss, LossLog
from toto_gateway.events.relay_messages import Channels
from toto_gateway.events.relay_reader import RelayReader
from toto_gateway.events.relay_timing import RelayTiming
from toto_testkit.redis_server import OwnRedis
from toto_testkit.relays import connections, relay_settings, until

pytestmark = pytest.mark.usefixtures("no_leaks")

SILENCE_SECONDS = 0.1
RANDOM = random.Random(1)  # noqa: S311  # repeatable


@asynccontextmanager
async def connection_to(server: OwnRedis) -> AsyncIterator[RedisConnection]:
    nodes = RedisNodes(relay_settings(server.url), 0.6, RANDOM)
    connection = await nodes.connect()
    try:
        yield connection
    finally:
        await connection.close()
        await connection.close()
        await nodes.close()


def make_health(losses: LossLog) -> RelayHealth:
    return RelayHealth("Redis at h:1", losses)


def make_losses() -> LossLog:
    return LossLog(lambda: 0.0)


def test_reader_on_a_quiet_server() -> None:
    """A server that has nothing to say but answers is not given up; a silent one is."""
    frames: list[tuple[bytes, bool]] = []
    works: list[bool] = []
    reader = RelayReader(
        Channels("t:"),
        b"g",
        lambda frame, is_to_everyone: frames.append((frame, is_to_everyone)),
        silence_seconds=SILENCE_SECONDS,
    )

    async def scenario(server: OwnRedis) -> None:
        async with connection_to(server) as connection:
            work = asyncio.create_task(reader.work(connection, lambda: works.append(True)))
            await until(lambda: works)
            await asyncio.sleep(5 * SILENCE_SECONDS)
            assert not work.done()
            server.command("PUBLISH", "t:events", "a")
            server.command("PUBLISH", Channels("t:").of(b"g"), "b")
            await until(lambda: len(frames) == 2)

            server.pause()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(work, 10 * SILENCE_SECONDS)
            server.resume()

    with OwnRedis() as server:
        asyncio.run(scenario(server))

    assert frames == [(b"a", True), (b"b", False)]
    assert works == [True]


def test_reader_lets_others_run() -> None:
    """However much has come at once, the event loop has its turns between."""
    turns: list[int] = []
    frames: list[bytes] = []

    async def scenario(server: OwnRedis) -> None:
        reader = RelayReader(
            Channels("t:"), b"g", lambda frame, _: frames.append(frame), silence_seconds=5.0
        )

        async def count_turns() -> None:
            while True:
                turns.append(len(frames))
                await asyncio.sleep(0)

        async with connection_to(server) as connection, connection_to(server) as publisher:
            works = asyncio.Event()
            tasks = [asyncio.create_task(reader.work(connection, works.set))]
            await works.wait()
            await publisher.send([("PUBLISH", "t:events", b"p")] * 2000)
            tasks.append(asyncio.create_task(count_turns()))
            await until(lambda: len(frames) == 2000)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    with OwnRedis() as server:
        asyncio.run(scenario(server))

    assert max(later - earlier for earlier, later in itertools.pairwise(turns)) <= 32


def test_one_outage_of_two_connections(caplog: pytest.LogCaptureFixture) -> None:
    """It begins with the first that fails and ends when both work; losses are told then."""
    losses = make_losses()
    health = make_health(losses)

    health.works("a")
    health.failed("a", ConnectionError("refused"))
    health.failed("b", TimeoutError("slow"))
    losses.add(Loss.TOO_OLD, 3)
    health.works("a")
    health.failed("a", ConnectionError("again"))
    health.works("b")
    before = len(caplog.records)
    health.works("a")
    health.works("a")

    where = "Redis at h:1 (events between gateway processes)"
    assert before == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"{where} is not available: ConnectionError: 'refused'",
        f"{where} is available again",
        f"3 {Loss.TOO_OLD.value}",
    ]


def test_pauses_between_attempts() -> None:
    """They double up to the longest, half of each is left to chance, and they begin anew after a
    connection that has worked for a while."""

    class Chance(random.Random):
        part = 1.0

        def uniform(self, a: float, b: float) -> float:
            assert (a, b) == (0.5, 1.0)
            return self.part

    chance = Chance()
    pauses = Pauses(RelayTiming(pause_seconds=0.1, pause_seconds_max=0.5), chance)

    first = [pauses.next_seconds(up_seconds) for up_seconds in (0.0, 0.0, 0.4, 0.0, 0.0)]
    chance.part = 0.5
    again = [pauses.next_seconds(up_seconds) for up_seconds in (0.6, 0.0)]
    for _ in range(3000):
        last = pauses.next_seconds(0.0)

    assert first == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])
    assert again == pytest.approx([0.05, 0.1])
    assert last == pytest.approx(0.25)


def make_link(server: OwnRedis, work: Work) -> RelayLink:
    return RelayLink(
        "link",
        work,
        nodes=RedisNodes(relay_settings(server.url), 0.6, RANDOM),
        health=make_health(make_losses()),
        pauses=Pauses(RelayTiming(pause_seconds=0.001), RANDOM),
        clock=asyncio.get_running_loop().time,
    )


def test_unforeseen_failure(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its traceback, and the link connects again."""
    attempts: list[RedisConnection] = []

    async def work(connection: RedisConnection, on_works: object) -> None:
        attempts.append(connection)
        if len(attempts) == 1:
            raise LookupError("on purpose")
        await asyncio.Event().wait()

    async def scenario(server: OwnRedis) -> None:
        link = make_link(server, work)
        link.start()
        await until(lambda: len(attempts) == 2)
        await until(lambda: connections(server) == 1)
        await link.close()

    with OwnRedis() as server:
        asyncio.run(scenario(server))

    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info is not None for record in errors] == [True, False]
    assert "LookupError" in errors[1].getMessage()


def test_cancellation_that_is_swallowed() -> None:
    """Closing ends a task that has swallowed the first cancellation, as asyncio.wait_for may."""
    swallowed: list[bool] = []
    works = asyncio.Event()

    async def work(connection: RedisConnection, on_works: object) -> None:
        works.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.append(True)
        await asyncio.Event().wait()

    async def scenario(server: OwnRedis) -> None:
        link = make_link(server, work)
        link.start()
        await works.wait()
        await asyncio.wait_for(link.close(), 2.0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with OwnRedis() as server:
        asyncio.run(scenario(server))

    assert swallowed == [True]
