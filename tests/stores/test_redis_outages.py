"""Redis that is away, silent or back, for the stores of threads and the loader of the loop."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from toto._core.kinds import Secret
from toto._core.stores.record import SessionRecord
from toto._core.stores.redis_database import open_redis_database
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import Database, StoreUnavailable
from toto_gateway.sessions.redis_loader import RedisLoader
from toto_testkit.ports import free_port
from toto_testkit.redis_server import (
    OwnRedis,
    OwnSentinel,
    has_tls,
    make_certificate,
    silent_listener,
)
from toto_testkit.tcp_relay import TcpRelay
from toto_testkit.waiting import poll_until

pytestmark = pytest.mark.usefixtures("no_leaks")

STORE_TIMEOUT_SECONDS = 0.4
WITHIN_SECONDS = 0.5
WITHIN_TLS_SECONDS = 0.9
"""redis-py reads all authorities of the system for each TLS connection; the callers of the stores
have a time limit of their own besides."""
BACK_SECONDS = 1.0
LOADERS = 200
RECORDS = 50
FORMS = {
    "plain": "redis://127.0.0.1:{port}",
    "password": "redis://:pw@127.0.0.1:{port}/3",
    "cluster": "redis+cluster://127.0.0.1:{port}",
    "sentinel": "redis+sentinel://127.0.0.1:{port}/main",
    "sentinels": "redis+sentinel://127.0.0.1:{port},127.0.0.1:{port},127.0.0.1:{port}/main",
}

Load = Callable[[], list[SessionRecord | None]]


def settings_for(url: str, store_timeout: float = STORE_TIMEOUT_SECONDS) -> StoreSettings:
    return StoreSettings(
        database="redis", redis_url=Secret(url), redis_prefix="t:", store_timeout=store_timeout
    )


def make_record(session_id: str = "id") -> SessionRecord:
    now = time.time()
    return SessionRecord(session_id, "user", now, now + 600, "k", session_id.encode())


def seconds_until_unavailable(load: Load) -> float:
    began_at = time.monotonic()
    with pytest.raises(StoreUnavailable):
        load()
    return time.monotonic() - began_at


def answers(load: Load) -> bool:
    try:
        load()
    except StoreUnavailable:
        return False
    return True


class LoopLoader:
    """A loader on an event loop of its own, called from the test's thread."""

    def __init__(self, settings: StoreSettings) -> None:
        self._runner = asyncio.Runner()
        self.loader = RedisLoader(settings)

    def load(self) -> list[SessionRecord | None]:
        return self._runner.run(self.loader.load_many(["id", "unknown"]))

    def close(self) -> None:
        self._runner.run(self.loader.close())
        self._runner.run(self.loader.close())
        self._runner.close()


def thread_load(store: Database) -> Load:
    return lambda: store.sessions.load(["id", "unknown"])


@pytest.fixture(params=["plain", "password", "unix", "cluster", "sentinel", "tls"])
def server_and_url(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[OwnRedis, str]]:
    """A server to stop and pause, of each kind."""
    kind = request.param
    if kind == "tls" and not has_tls():
        pytest.skip("this redis-server has no TLS, or there is no openssl")
    with ExitStack() as stack:
        server = stack.enter_context(
            OwnRedis(
                password="pw" if kind == "password" else "",
                tls=make_certificate(tmp_path) if kind == "tls" else None,
                is_cluster=kind == "cluster",
            )
        )
        url = server.unix_url if kind == "unix" else server.url
        if kind == "sentinel":
            url = stack.enter_context(OwnSentinel(server)).url
        yield server, url


@pytest.fixture
def loads_and_store(
    server_and_url: tuple[OwnRedis, str],
) -> Iterator[tuple[list[Load], Database]]:
    """Both ways of loading, by threads and by the loop, and a store to write with."""
    settings = settings_for(server_and_url[1])
    with closing(open_redis_database(settings)) as store, closing(LoopLoader(settings)) as loop:
        yield [thread_load(store), loop.load], store


def test_stopped_and_silent_server(
    server_and_url: tuple[OwnRedis, str], loads_and_store: tuple[list[Load], Database]
) -> None:
    """Away or silent it is StoreUnavailable within 0.5 s, every time; back, it works within 1 s."""
    server, url = server_and_url
    loads, store = loads_and_store
    record = make_record()
    store.sessions.create(record)
    assert [load() for load in loads] == [[record, None]] * 2
    waits: list[float] = []

    server.pause()
    try:
        # The two wait for the server at the same time, and so half as long.
        with ThreadPoolExecutor(2) as pool:
            for _ in range(2):
                waits += pool.map(seconds_until_unavailable, loads)
    finally:
        server.resume()
    for load in loads:
        poll_until(partial(answers, load), BACK_SECONDS, "silent server is back")
        assert load() == [record, None]

    server.stop()
    waits += [seconds_until_unavailable(load) for load in loads * 3]
    server.start()
    for load in loads:
        poll_until(partial(answers, load), BACK_SECONDS, "stopped server is back")
        assert load() == [None, None]
    assert max(waits) < (WITHIN_TLS_SECONDS if url.startswith("rediss") else WITHIN_SECONDS)


@pytest.mark.parametrize("form", FORMS)
def test_server_that_never_was(form: str) -> None:
    """A closed port and one where nobody answers are StoreUnavailable within 0.5 s."""
    with silent_listener() as silent_port:
        for port in (free_port(), silent_port):
            settings = settings_for(FORMS[form].format(port=port))
            with (
                closing(open_redis_database(settings)) as store,
                closing(LoopLoader(settings)) as loop,
            ):
                for load in (thread_load(store), loop.load):
                    assert seconds_until_unavailable(load) < WITHIN_SECONDS


def test_opening_connects_to_nothing() -> None:
    """A database and a loader whose server is away can be made and closed, twice."""
    for form in FORMS.values():
        settings = settings_for(form.format(port=free_port()))
        store = open_redis_database(settings)
        store.close()
        store.close()
        LoopLoader(settings).close()


def test_threads_do_not_wait_for_one_another() -> None:
    """Sixteen threads that use a silent cluster for the first time wait as long as one does."""
    with silent_listener() as port:
        settings = settings_for(FORMS["cluster"].format(port=port))
        barrier = threading.Barrier(16)
        with closing(open_redis_database(settings)) as store, ThreadPoolExecutor(16) as pool:

            def wait(_: int) -> float:
                barrier.wait(10)
                return seconds_until_unavailable(thread_load(store))

            assert max(pool.map(wait, range(16))) < 2 * WITHIN_SECONDS


def test_outage_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """However many calls fail, there is one line when it begins and one when it is over."""
    with OwnRedis() as server, closing(open_redis_database(settings_for(server.url))) as store:
        load = thread_load(store)
        load()
        server.stop()
        for _ in range(3):
            assert not answers(load)
            with pytest.raises(StoreUnavailable):
                store.counters.hit("key", 1.0)
        server.start()
        for _ in range(3):
            load()
            store.counters.hit("key", 1.0)

        lines = [record.getMessage() for record in caplog.records if record.name == "toto.store"]
        refused = f"'Error 111 connecting to 127.0.0.1:{server.port}. Connection refused.'"
        where = f"Redis at 127.0.0.1:{server.port}"
        assert lines == [
            f"{where} is not available: ConnectionError: {refused}",
            f"{where} is available again",
        ]


def test_full_server_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    """A server without memory refuses to write; the log names the error and no argument."""
    with (
        OwnRedis(arguments=["--maxmemory", "1", "--maxmemory-policy", "noeviction"]) as server,
        closing(open_redis_database(settings_for(server.url))) as store,
    ):
        with pytest.raises(StoreUnavailable):
            store.sessions.create(make_record())
        with pytest.raises(StoreUnavailable) as caught:
            store.accounts.create("user", "secret hash", {})

        assert "OutOfMemoryError" in caplog.text
        assert "secret hash" not in caplog.text
        assert caught.value.__cause__ is None


def test_lost_answer_to_a_comparison_does_not_matter() -> None:
    """A record that was replaced, whose answer was lost, is ours when it is looked at again."""
    old = make_record()
    new = replace(old, state=b"new", expires=old.expires + 60)
    with OwnRedis() as server, TcpRelay(server.port) as relay:
        settings = settings_for(f"redis://127.0.0.1:{relay.port}", store_timeout=5.0)
        with closing(open_redis_database(settings)) as store:
            store.sessions.create(old)
            relay.lose_answer_to(b"EXEC")

            assert store.sessions.update(new, replaces=old) == "id"
            assert relay.accepted == 2
            assert store.sessions.load(["id"]) == [new]
            assert store.sessions.update(old, replaces=old) is None


def test_replica_is_unavailable() -> None:
    """A server that may only be read refuses to write, and is read."""
    with OwnRedis() as master:
        arguments = ["--replicaof", "127.0.0.1", str(master.port)]
        with (
            OwnRedis(arguments=arguments) as replica,
            closing(open_redis_database(settings_for(replica.url))) as store,
        ):
            with pytest.raises(StoreUnavailable):
                store.counters.hit("key", 1.0)
            assert store.counters.counts(["key"]) == [0]


def test_cancelled_waiters_never_mix_replies() -> None:
    """Of 200 loads of different sessions, some cancelled on the way, all others get their own."""
    records = [make_record(f"id {number}") for number in range(RECORDS)]
    chance = random.Random(20_230_326)  # noqa: S311  # repeatable

    async def stress(loader: RedisLoader) -> tuple[int, int]:
        cancelled = right = 0
        for _ in range(5):
            wanted = [chance.sample(records, 3) for _ in range(LOADERS)]
            tasks = [
                asyncio.ensure_future(loader.load_many([record.session_id for record in some]))
                for some in wanted
            ]
            for task in chance.sample(tasks, LOADERS // 2):
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            for outcome, some in zip(outcomes, wanted, strict=True):
                cancelled += isinstance(outcome, asyncio.CancelledError)
                right += outcome == some
        await loader.close()
        return cancelled, right

    with OwnRedis() as server:
        settings = settings_for(server.url, store_timeout=10.0)
        with closing(open_redis_database(settings)) as store:
            for record in records:
                store.sessions.create(record)
        cancelled, right = asyncio.run(stress(RedisLoader(settings)))

    assert cancelled > 20
    assert cancelled + right == 5 * LOADERS


def test_late_answer_reaches_nobody_else() -> None:
    """An answer that comes after the time limit is not the answer to the next question."""

    async def ask(server: OwnRedis, loader: RedisLoader) -> list[list[SessionRecord | None]]:
        await loader.load_many(["a"])
        server.pause()
        with pytest.raises(StoreUnavailable):
            await loader.load_many(["a"])
        server.resume()
        found = [await loader.load_many([name]) for name in ("b", "a", "b", "a")]
        await loader.close()
        return found

    with OwnRedis() as server:
        settings = settings_for(server.url)
        a, b = make_record("a"), make_record("b")
        with closing(open_redis_database(settings)) as store:
            store.sessions.create(a)
            store.sessions.create(b)
        assert asyncio.run(ask(server, RedisLoader(settings))) == [[b], [a], [b], [a]]


def test_closing_while_the_server_is_silent() -> None:
    """A loader whose commands are stuck closes within the time limit, and leaves nothing."""

    async def close(server: OwnRedis) -> float:
        loader = RedisLoader(settings_for(server.url))
        await loader.load_many(["a"])
        server.pause()
        waiter = asyncio.ensure_future(loader.load_many(["a"]))
        await asyncio.sleep(0)
        began_at = time.monotonic()
        await loader.close()
        with pytest.raises(StoreUnavailable):
            await waiter
        return time.monotonic() - began_at

    with OwnRedis() as server:
        assert asyncio.run(close(server)) < WITHIN_SECONDS


def test_nothing_asked_needs_no_server() -> None:
    """Loading no sessions gives none, and asks nobody."""

    async def load() -> list[SessionRecord | None]:
        loader = RedisLoader(settings_for(f"redis://127.0.0.1:{free_port()}"))
        found = await loader.load_many([])
        await loader.close()
        return found

    assert asyncio.run(load()) == []
