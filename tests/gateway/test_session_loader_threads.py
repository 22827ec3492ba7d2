"""Sessions from stores that block, and from tokens; store calls of the loop and their limit."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from toto._core.stores.breaker import Breaker
from toto._core.stores.cache_sessions import CacheSessionStore
from toto._core.stores.record import SessionRecord
from toto._core.stores.settings import StoreSettings
from toto._core.stores.sql_database import open_sql_database
from toto._core.stores.store import StoreUnavailable
from toto.session import TotoSessionCache
from toto_gateway.sessions.loader import InlineLoader, PooledLoader, SessionLoader, ThreadLoader
from toto_gateway.sessions.store_calls import AsyncStoreGuard

pytestmark = pytest.mark.usefixtures("no_leaks")

NOW = 1000.0
NEVER = 3600.0
Records = list[SessionRecord | None]


def session(name: str, expires: float = 2000.0) -> SessionRecord:
    return SessionRecord(name, f"user of {name}", 0.0, expires)


def user_ids(records: Sequence[SessionRecord | BaseException | None]) -> list[str | None]:
    return [each.user_id if isinstance(each, SessionRecord) else None for each in records]


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


async def turns(count: int = 10) -> None:
    """Let the loop do what is ready."""
    for _ in range(count):
        await asyncio.sleep(0)


def start(loader: SessionLoader, *names: str) -> list[asyncio.Task[SessionRecord | None]]:
    return [asyncio.ensure_future(loader.load(name)) for name in names]


@contextmanager
def silent_server() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield a driver's end of a connection, and the end of a server that says nothing."""
    ours, server = socket.socketpair()
    with ours, server:
        yield ours, server


class Sessions:
    """A session store in memory which notes how it is called."""

    def __init__(self, *records: SessionRecord) -> None:
        self.records = {record.session_id: record for record in records}
        self.calls: list[list[str]] = []
        self.threads: set[int] = set()

    def load(self, session_ids: Sequence[str]) -> Records:
        self.calls.append(list(session_ids))
        self.threads.add(threading.get_ident())
        return [self.records.get(session_id) for session_id in session_ids]

    def create(self, record: SessionRecord) -> str:
        self.records[record.session_id] = record
        return record.session_id

    def update(self, record: SessionRecord, *, replaces: SessionRecord | None = None) -> str | None:
        return self.create(record)

    def remove(self, session_id: str) -> None:
        self.records.pop(session_id, None)

    def remove_user(self, user_id: str) -> None:
        self.records.clear()


class Tokens:
    """Tokens which are names of sessions, and the little list of those that were ended."""

    def __init__(self, *records: SessionRecord) -> None:
        self.records = {record.session_id: record for record in records}
        self.known_to_be_good: dict[str, bool] = {}
        self.checked_to_be_good: dict[str, bool] = {}
        self.checks: list[int] = []

    def decode(self, token: str) -> SessionRecord | None:
        return self.records.get(token)

    def known(self, record: SessionRecord) -> bool | None:
        is_good = self.known_to_be_good.get(record.session_id)
        return None if is_good is None else not is_good

    def check(self, record: SessionRecord) -> bool:
        self.checks.append(threading.get_ident())
        if record.session_id not in self.checked_to_be_good:
            raise StoreUnavailable
        return not self.checked_to_be_good[record.session_id]


def guard(*, is_remote: bool = True) -> AsyncStoreGuard:
    return AsyncStoreGuard(0.2, is_remote=is_remote, breaker=Breaker(retry_seconds=NEVER))


def test_expired_sessions_are_none_with_every_loader() -> None:
    """A session whose time is just over is none, and one with time left is found."""

    async def test() -> None:
        records = session("over", expires=1000.0), session("left", expires=1000.5)
        tokens = Tokens(*records)
        tokens.known_to_be_good = {"over": True, "left": True}
        store, calls = Sessions(*records), guard()
        loaders: list[SessionLoader] = [
            ThreadLoader(store, calls, clock=lambda: NOW),
            PooledLoader(store, timeout_seconds=0.2, breaker=Breaker(), clock=lambda: NOW),
            InlineLoader(tokens, tokens, calls, clock=lambda: NOW),
        ]
        for loader in loaders:
            loaded = [await loader.load(name) for name in ("over", "left", "unknown")]
            assert user_ids(loaded) == [None, "user of left", None]
            await loader.close()
        calls.close()

    run(test)


def test_a_thread_loader_asks_the_store_once_a_turn() -> None:
    """A hundred loads of one turn are one call of the store, off the loop."""

    async def test() -> None:
        store, calls = Sessions(*[session(f"s{n}") for n in range(100)]), guard(is_remote=False)
        loader = ThreadLoader(store, calls, clock=lambda: NOW)
        loaded = await asyncio.gather(*[loader.load(f"s{n}") for n in range(100)])
        await loader.close()
        calls.close()

        assert user_ids(loaded) == [f"user of s{n}" for n in range(100)]
        assert len(store.calls) == 1
        assert threading.get_ident() not in store.threads

    run(test)


def test_a_pooled_loader_asks_for_each_session_by_itself() -> None:
    """A user's own cache is asked for one id at a time, as its interface has it."""

    async def test() -> None:
        store = Sessions(session("a"), session("b"))
        loader = PooledLoader(store, timeout_seconds=0.2, breaker=Breaker(), clock=lambda: NOW)
        loaded = await asyncio.gather(*start(loader, "a", "b", "a"))
        await loader.close()

        assert user_ids(loaded) == ["user of a", "user of b", "user of a"]
        assert sorted(store.calls) == [["a"], ["a"], ["b"]]

    run(test)


class Picky(Sessions):
    """A user's cache that cannot bear some ids."""

    def load(self, session_ids: Sequence[str]) -> Records:
        if session_ids[0].startswith("odd"):
            raise KeyError(session_ids[0])
        return super().load(session_ids)


def test_a_broken_cache_lets_nobody_in(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a user's cache raises, the load fails with StoreUnavailable; no id is logged."""

    async def test() -> None:
        loader = PooledLoader(Picky(), timeout_seconds=0.2, breaker=Breaker())
        with pytest.raises(StoreUnavailable):
            await loader.load("odd id")
        await loader.close()

    run(test)
    assert "could not be loaded: KeyError" in caplog.text
    assert "odd id" not in caplog.text


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_strangers_with_odd_ids_lock_nobody_out(is_wrapped: bool) -> None:
    """A cache that fails for some ids is asked for all others, unless it fails five times in a
    row."""

    async def test() -> None:
        cache = Picky(session("a"))
        store = CacheSessionStore(PickyCache()) if is_wrapped else cache
        breaker = Breaker(retry_seconds=NEVER)
        loader = PooledLoader(store, timeout_seconds=5.0, breaker=breaker, clock=lambda: NOW)
        for _ in range(5):
            for _ in range(4):
                with pytest.raises(StoreUnavailable):
                    await loader.load("odd")
            assert user_ids([await loader.load("a")]) == ["user of a"]
        for _ in range(5):
            with pytest.raises(StoreUnavailable):
                await loader.load("odd")
        with pytest.raises(StoreUnavailable):
            await loader.load("a")
        await loader.close()

    run(test)


class PickyCache(TotoSessionCache):
    """The same in the words of an application."""

    def load_session(self, session_id: str) -> dict[str, Any] | None:
        if session_id == "odd":
            raise KeyError(session_id)
        return {"user_id": "user of a", "expires": 9e9}


def test_row_13_tokens_that_were_ended_are_none() -> None:
    """A known answer costs no check; without one the check decides, in a thread."""

    async def test() -> None:
        tokens = Tokens(*[session(name) for name in ("good", "ended", "asked", "asked and ended")])
        tokens.known_to_be_good = {"good": True, "ended": False}
        tokens.checked_to_be_good = {"asked": True, "asked and ended": False}
        calls = guard()
        loader = InlineLoader(tokens, tokens, calls, clock=lambda: NOW)

        assert user_ids([await loader.load("good"), await loader.load("ended")]) == [
            "user of good",
            None,
        ]
        assert tokens.checks == []
        loaded = [await loader.load("asked"), await loader.load("asked and ended")]
        calls.close()

        assert user_ids(loaded) == ["user of asked", None]
        assert len(tokens.checks) == 2
        assert threading.get_ident() not in tokens.checks

    run(test)


def test_row_13_the_check_decides_while_the_store_is_away() -> None:
    """With the breaker open it is asked all the same, and may accept or raise."""

    async def test() -> None:
        tokens = Tokens(session("accepted unseen"), session("too long away"))
        tokens.checked_to_be_good = {"accepted unseen": True}
        calls = guard()
        calls.breaker.failed()
        loader = InlineLoader(tokens, tokens, calls, clock=lambda: NOW)

        assert user_ids([await loader.load("accepted unseen")]) == ["user of accepted unseen"]
        assert not calls.breaker.allows()
        with pytest.raises(StoreUnavailable):
            await loader.load("too long away")
        calls.close()

    run(test)


def test_a_silent_store_is_given_up() -> None:
    """The loop waits for the limit, then fails calls at once; a stuck thread disturbs nobody."""

    async def test() -> None:
        with silent_server() as (ours, server):
            calls = guard()
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await calls.call(ours.recv, 100)
            assert 0.2 <= time.monotonic() - started < 2.7
            started = time.monotonic()
            for _ in range(20):  # 4 s, if each of them waited
                with pytest.raises(StoreUnavailable):
                    await calls.call(int, "1")
            assert time.monotonic() - started < 1.0
            server.sendall(b"late")
            calls.close()

    run(test)


def test_the_time_limit_counts_when_the_waiter_has_left() -> None:
    """A call without a waiter that never ends still opens the breaker."""

    async def test() -> None:
        with silent_server() as (ours, server):
            calls = guard()
            waiter = asyncio.ensure_future(calls.call(ours.recv, 100))
            await turns()
            waiter.cancel()
            give_up_at = time.monotonic() + 2
            while calls.breaker.allows() and time.monotonic() < give_up_at:
                await asyncio.sleep(0.01)
            assert not calls.breaker.allows()
            server.sendall(b"late")
            calls.close()

    run(test)


def test_a_cancelled_waiter_does_not_disturb_the_call(caplog: pytest.LogCaptureFixture) -> None:
    """What the store was told to do is done although nobody waits for it any more."""

    async def test() -> None:
        received: list[bytes] = []
        with silent_server() as (ours, server):
            calls = guard()
            waiter = asyncio.ensure_future(calls.call(lambda: received.append(ours.recv(100))))
            await turns()
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            server.sendall(b"done")
            calls.close()  # waits for the thread
        await turns()

        assert received == [b"done"]
        assert caplog.records == []

    run(test)


def test_errors_of_a_store_call_reach_the_waiter() -> None:
    """An error that is not about being away passes, and the next call is made."""

    async def test() -> None:
        calls = guard()
        with pytest.raises(ValueError, match="invalid literal"):
            await calls.call(int, "x")
        assert await calls.call(int, "ff", base=16) == 255
        calls.close()
        with pytest.raises(StoreUnavailable):
            await calls.call(int, "1")

    run(test)


def test_sessions_of_a_real_database_are_loaded(tmp_path: Path) -> None:
    """With sqlite two hundred waiters, some of whom leave, get what was stored, and None."""

    async def test() -> None:
        settings = StoreSettings(database="sqlite", sqlite_path=tmp_path / "sessions.db")
        database = open_sql_database(settings, clock=lambda: NOW)
        for number in range(0, 200, 2):
            database.sessions.create(session(f"s{number}"))
        calls = guard(is_remote=database.is_remote)
        loader = ThreadLoader(database.sessions, calls, clock=lambda: NOW)
        loads = start(loader, *[f"s{number}" for number in range(200)])
        await turns(2)
        for load in loads[::10]:
            load.cancel()
        loaded = await asyncio.gather(*loads, return_exceptions=True)
        await loader.close()
        calls.close()
        database.close()

        assert user_ids(loaded) == [
            f"user of s{n}" if n % 2 == 0 and n % 10 else None for n in range(200)
        ]
        errors = [n for n, each in enumerate(loaded) if isinstance(each, BaseException)]
        assert errors == list(range(0, 200, 10))

    run(test)
