"""What is special about the history of events in Redis: its servers, outages, and lifetimes."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from toto._core.event_history import CURSOR_START, EventHistory, HistoryPage, NewEvent, number_of
from toto._core.kinds import Secret
from toto._core.stores import open_event_history as opening
from toto._core.stores.event_history_redis import IDLE_SECONDS, RedisEventHistory
from toto._core.stores.open_event_history import open_event_history
from toto._core.stores.outage import Outage
from toto._core.stores.redis_client import close_client, make_client
from toto._core.stores.redis_link import RedisLink
from toto._core.stores.redis_url import redis_target
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import StoreUnavailable
from toto_testkit.redis_server import OwnRedis, OwnSentinel
from toto_testkit.tcp_relay import TcpRelay
from toto_testkit.waiting import poll_until

pytestmark = pytest.mark.usefixtures("no_leaks")

LENGTH = 5
WITHIN_SECONDS = 0.6
"""Of a time limit of 0.4 s, on a busy machine."""
BACK_SECONDS = 2.0
COMMANDS = "eval xadd xrange xrevrange pexpire time"
"""All that a history uses."""


def settings_for(url: str, prefix: str = "t:", store_timeout: float = 0.4) -> StoreSettings:
    return StoreSettings(
        database="redis", redis_url=Secret(url), redis_prefix=prefix, store_timeout=store_timeout
    )


def opened(url: str, prefix: str = "t:", store_timeout: float = 0.4) -> "closing[EventHistory]":
    settings = settings_for(url, prefix, store_timeout)
    return closing(open_event_history(settings, length=LENGTH))


def append(history: EventHistory, *payloads: bytes) -> list[str]:
    return history.append([NewEvent("e", payload) for payload in payloads])


def payloads(page: HistoryPage) -> list[bytes]:
    return [event.payload for event in page.events]


def key_of(server: OwnRedis, client: "redis.Redis") -> bytes:
    keys: Any = client.keys("*")
    assert len(keys) == 1
    key: bytes = keys[0]
    return key


@pytest.fixture
def server() -> Iterator[OwnRedis]:
    """A server of the test's own."""
    with OwnRedis() as started:
        yield started


@pytest.fixture
def raw(server: OwnRedis) -> Iterator[Any]:
    """A client that looks behind the history."""
    with closing(redis.Redis.from_url(server.url)) as client:
        yield client


@pytest.fixture(params=["plain", "cluster", "sentinel"])
def server_and_url(request: pytest.FixtureRequest) -> Iterator[tuple[OwnRedis, str]]:
    """A server of each kind."""
    with ExitStack() as stack:
        server = stack.enter_context(OwnRedis(is_cluster=request.param == "cluster"))
        url = server.url
        if request.param == "sentinel":
            url = stack.enter_context(OwnSentinel(server)).url
        yield server, url


def test_every_kind_of_server(server_and_url: tuple[OwnRedis, str]) -> None:
    """Names of all slots of a cluster are written together, and each is read alone."""
    with opened(server_and_url[1], store_timeout=5.0) as history:
        names = [f"{{{number}}} name" for number in range(50)]
        cursors = history.append([NewEvent(name, name.encode()) for name in names * 2])
        history.mark_gap(names)

        for index, name in enumerate(names):
            page = history.read(name, CURSOR_START, 9)
            assert payloads(page) == [name.encode()] * 2
            assert [event.cursor for event in page.events] == cursors[index::50]
            assert (page.has_gap, page.end) == (True, history.latest(name))


def seconds_until_unavailable(call: Callable[[], object]) -> float:
    began_at = time.monotonic()
    with pytest.raises(StoreUnavailable):
        call()
    return time.monotonic() - began_at


def answers(call: Callable[[], object]) -> bool:
    try:
        call()
    except StoreUnavailable:
        return False
    return True


def test_stopped_and_silent_server(server_and_url: tuple[OwnRedis, str]) -> None:
    """Away or silent it is StoreUnavailable in time, for every method; back, it works soon."""
    server, url = server_and_url
    waits: list[float] = []
    with opened(url) as history:
        append(history, b"1")
        calls = (
            lambda: append(history, b"2"),
            lambda: history.mark_gap(["e"]),
            lambda: history.read("e", CURSOR_START, 9),
            lambda: history.latest("e"),
        )
        for away, back in ((server.pause, server.resume), (server.stop, server.start)):
            away()
            try:
                waits += [seconds_until_unavailable(call) for call in calls]
            finally:
                back()
            poll_until(partial(answers, calls[2]), BACK_SECONDS, "the server is back")
            append(history, b"3")

        assert payloads(history.read("e", CURSOR_START, 9)) == [b"3"]
    assert max(waits) < WITHIN_SECONDS


def test_a_full_server_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, and no event is in the log."""
    arguments = ["--maxmemory", "1", "--maxmemory-policy", "noeviction"]
    with OwnRedis(arguments=arguments) as server, opened(server.url) as history:
        for _ in range(2):
            with pytest.raises(StoreUnavailable) as caught:
                append(history, b"secret payload")

    (line,) = caplog.messages
    assert line.startswith("The history of events (Redis at 127.0.0.1:")
    assert line.endswith(("OutOfMemoryError", "ResponseError"))  # of Redis 7, and of Redis 6
    assert "secret" not in repr((caplog.text, caught.value, caught.value.__cause__))


def test_an_event_whose_answer_is_lost_is_recorded_once(server: OwnRedis) -> None:
    """Nobody tries again: it is not known to be recorded, but it is not there twice."""
    with TcpRelay(server.port) as relay, opened(f"redis://127.0.0.1:{relay.port}") as history:
        append(history, b"1")
        relay.lose_answer_to(b"XADD")
        with pytest.raises(StoreUnavailable):
            append(history, b"2")
        append(history, b"3")

        assert payloads(history.read("e", CURSOR_START, 9)) == [b"1", b"2", b"3"]


def test_a_restart_between_two_events_is_not_noticed(server: OwnRedis) -> None:
    """A connection that was lost while nobody used it is replaced."""
    with TcpRelay(server.port) as relay, opened(f"redis://127.0.0.1:{relay.port}") as history:
        for number in range(3):
            poll_until(partial(answers, partial(history.latest, "e")), BACK_SECONDS)
            append(history, b"%d" % number)
            relay.cut()

        assert payloads(history.read("e", CURSOR_START, 9)) == [b"0", b"1", b"2"]


class Clock:
    """A clock that the test turns."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def history_with(
    url: str, clock: Callable[[], float] = time.monotonic, keep_seconds: float = 86_400.0
) -> RedisEventHistory:
    settings = settings_for(url)
    client: Any = make_client(redis_target(settings), settings)
    return RedisEventHistory(
        RedisLink(client, "t:", Outage("Redis")),
        length=LENGTH,
        keep_seconds=keep_seconds,
        renew=lambda: client.connection_pool.disconnect(inuse_connections=False),
        close=lambda: close_client(client),
        clock=clock,
    )


def test_connections_that_were_idle_are_not_trusted(server: OwnRedis) -> None:
    """A firewall may have forgotten them, and the first event would be lost."""
    clock = Clock()
    with (
        TcpRelay(server.port) as relay,
        closing(history_with(f"redis://127.0.0.1:{relay.port}", clock)) as history,
    ):
        append(history, b"1")
        clock.now += IDLE_SECONDS
        append(history, b"2")
        before = relay.accepted
        clock.now += IDLE_SECONDS + 1
        append(history, b"3")

        assert (before, relay.accepted) == (1, 2)


def test_a_name_is_kept_for_a_day_after_its_last_event(server: OwnRedis, raw: Any) -> None:
    """Each event begins the day anew."""
    with opened(server.url) as history:
        append(history, b"1")
        raw.pexpire(key_of(server, raw), 5000)
        append(history, b"2")

        lasting_seconds = raw.pttl(key_of(server, raw)) / 1000
        assert opening.KEEP_SECONDS - 10 < lasting_seconds <= opening.KEEP_SECONDS == 24 * 3600


def test_a_name_that_is_forgotten_begins_anew(server: OwnRedis) -> None:
    """Its old cursors are a gap, with or without new events; its start is none."""
    with closing(history_with(server.url, keep_seconds=0.3)) as history:
        old = append(history, b"1", b"2")
        poll_until(lambda: history.latest("e") == CURSOR_START, 5.0)

        assert history.read("e", old[0], 9) == HistoryPage((), has_gap=True)
        assert history.read("e", CURSOR_START, 9) == HistoryPage((), has_gap=False)

    with opened(server.url) as history:
        new = append(history, b"3", b"4")
        for since in old:
            page = history.read("e", since, 9)
            assert (payloads(page), page.has_gap) == ([b"3", b"4"], True)
        assert not history.read("e", CURSOR_START, 9).has_gap
        assert [number_of(cursor) for cursor in new] == [1, 2]


def test_a_server_that_was_set_back_fits_no_lost_cursor(server: OwnRedis, raw: Any) -> None:
    """As after a failover: the numbers are given again, and those who know them are told."""
    with opened(server.url) as history:
        cursors = append(history, b"1", b"2", b"3")
        raw.xdel(key_of(server, raw), *cursors[1:])
        again = append(history, b"4", b"5", b"6")

        assert [number_of(cursor) for cursor in again] == [2, 3, 4]
        for lost in cursors[1:]:
            page = history.read("e", lost, 9)
            assert (payloads(page), page.has_gap) == ([b"1", b"4", b"5", b"6"], True)


def test_the_place_of_an_event_never_runs_backwards(server: OwnRedis, raw: Any) -> None:
    """Though the server's clock may, after a failover for instance."""
    later = int(time.time() * 1000) + 10_000
    with opened(server.url) as history:
        append(history, b"1")
        raw.xadd(key_of(server, raw), {"p": "2"}, id=f"{later}-2")

        assert append(history, b"3", b"4") == [f"{later}-3", f"{later}-4"]


def test_few_commands_are_needed(server: OwnRedis) -> None:
    """A Redis user with these commands and these keys can do everything."""
    rules = [f"+{command}" for command in COMMANDS.split()]
    server.command("ACL", "SETUSER", "toto", "on", ">pw", "resetkeys", "~own:*", "-@all", *rules)
    url = f"redis://toto:pw@127.0.0.1:{server.port}"
    with opened(url, "own:") as history:
        append(history, b"1")
        history.mark_gap(["e"])
        assert history.read("e", CURSOR_START, 9).end == history.latest("e")
    with opened(url, "other:") as history, pytest.raises(StoreUnavailable):
        append(history, b"1")


def test_redis_is_used_beside_another_database(server: OwnRedis, tmp_path: Path) -> None:
    """Whatever holds the accounts: Redis is there for events when it has an address."""
    settings = replace(settings_for(server.url), database="sqlite", sqlite_path=tmp_path / "t.db")
    with closing(open_event_history(settings, length=LENGTH)) as history:
        append(history, b"1")

    assert b"history" in server.command("KEYS", "*")
    assert list(tmp_path.iterdir()) == []
