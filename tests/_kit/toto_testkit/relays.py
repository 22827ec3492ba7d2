"""Relays of events in the test's own loop, and what they deliver."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from toto._core.kinds import Secret
from toto._core.stores.settings import StoreSettings
from toto_gateway.events.relay import EventRelay
from toto_gateway.events.relay_messages import RelayedEvent
from toto_gateway.events.relay_timing import RelayTiming
from toto_testkit.redis_server import OwnRedis

T = TypeVar("T")

QUICK = RelayTiming(
    command_seconds=0.6,
    silence_seconds=0.15,
    pause_seconds=0.02,
    pause_seconds_max=0.1,
    flush_seconds=0.3,
)
POLL_SECONDS = 0.005


@dataclass
class Listener:
    """The workers of one gateway process: what they got, and whether they take events for one."""

    events: list[RelayedEvent] = field(default_factory=list)
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    has_worker: bool = False
    is_late: bool = False
    """Its worker goes between the claim and the event."""
    asked: list[str] = field(default_factory=list)
    refused: int = 0

    def on_relayed(self, event: RelayedEvent) -> None:
        self.events.append(event)

    def has_subscriber(self, name: str) -> bool:
        self.asked.append(name)
        return self.has_worker

    def take_one(self, name: str, payload: bytes) -> bool:
        if not self.has_worker or self.is_late:
            self.refused += 1
            return False
        self.taken.append((name, payload))
        return True

    @property
    def numbers(self) -> list[int]:
        return [event.number for event in self.events]


@dataclass
class Member:
    """A relay with its listener."""

    relay: EventRelay
    listener: Listener
    gateway_id: bytes
    sent: int = 0

    def broadcast(self, name: str = "e", payload: bytes = b"p", cursor: str = "") -> RelayedEvent:
        self.sent += 1
        event = RelayedEvent(self.gateway_id, self.sent, name, payload, cursor)
        self.relay.broadcast(event)
        return event


def relay_settings(url: str, prefix: str = "t:") -> StoreSettings:
    return StoreSettings(database="redis", redis_url=Secret(url), redis_prefix=prefix)


def make_member(
    url: str, gateway_id: bytes, *, prefix: str = "t:", timing: RelayTiming = QUICK
) -> Member:
    """Make a relay that is not started."""
    listener = Listener()
    relay = EventRelay(relay_settings(url, prefix), gateway_id, listener, timing=timing)
    return Member(relay, listener, gateway_id)


async def until(predicate: Callable[[], T], seconds: float = 5.0, message: str = "") -> T:
    """Return the first true value of the predicate; fail when there is none in time."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + seconds
    while not (value := predicate()):
        assert loop.time() < give_up_at, f"not within {seconds} s: {message or predicate}"
        await asyncio.sleep(POLL_SECONDS)
    return value


@asynccontextmanager
async def members(*urls: str, timing: RelayTiming = QUICK) -> AsyncIterator[list[Member]]:
    """Start relays, wait until they are connected, and close them; no task may be left."""
    others = asyncio.all_tasks()
    made = [make_member(url, b"g%d" % number, timing=timing) for number, url in enumerate(urls)]
    for member in made:
        member.relay.start()
    try:
        for member in made:
            await until(lambda member=member: member.relay.is_up)  # type: ignore[misc]  # a default
        yield made
    finally:
        for member in made:
            await member.relay.close()
            await member.relay.close()
    assert asyncio.all_tasks() == others


def connections(server: OwnRedis) -> int:
    """Return how many connections a server has, without the one that asks."""
    return server.command("CLIENT", "LIST").count(b"id=") - 1


@contextmanager
def two_nodes() -> Iterator[tuple[OwnRedis, OwnRedis]]:
    """Start a cluster of two nodes."""
    with OwnRedis(is_cluster=True) as first, OwnRedis(is_cluster=True) as second:
        first.command("CLUSTER", "MEET", "127.0.0.1", str(second.port))
        yield first, second
