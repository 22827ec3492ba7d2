"""Session caches and account stores that an application brings."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from toto._core.stores.breaker import StoreFailed
from toto._core.stores.cache_sessions import CacheSessionStore
from toto._core.stores.record import SessionRecord
from toto._core.stores.store import StoreUnavailable
from toto.session import TotoSessionCache
from toto_testkit.memory_stores import SettableClock, open_memory_database
from toto_testkit.memory_world import World, refusal

DAY = 86400.0


class DictionaryCache(TotoSessionCache):
    """Keeps sessions for ever, and believes what it is told."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.error: Exception | None = None

    def store_session(self, session_data: dict[str, Any]) -> str | None:
        if self.error is not None:
            raise self.error
        self.kept[session_data["session_id"]] = session_data
        return None

    def load_session(self, session_id: str) -> dict[str, Any] | None:
        if self.error is not None:
            raise self.error
        return self.kept.get(session_id)

    def remove_session(self, session_id: str) -> None:
        self.kept.pop(session_id, None)


def test_cache_in_the_place_of_the_store() -> None:
    """With a cache sessions are kept there, until the database gets them back."""
    world, cache = World(), DictionaryCache()
    world.connection.set_session_cache(cache)
    session = world.connection.create_session()
    session["a"] = 1
    session.save()
    assert list(cache.kept) == [session.session_id]
    assert world.memory.sessions == {}
    found = world.connection.retrieve_session(session.session_id)
    assert found is not None
    assert found["a"] == 1
    world.connection.remove_session(session.session_id)
    assert refusal(session.save) == (1007, "The session has ended.")
    world.connection.set_session_cache(None)
    kept = world.connection.create_session()
    assert world.connection.retrieve_session(kept.session_id) is not None
    assert cache.kept == {}


def test_cache_without_expiry() -> None:
    """A cache that never forgets does not make sessions endless."""
    world, cache = World(), DictionaryCache()
    world.connection.set_session_cache(cache)
    session = world.connection.create_session()
    world.clock.now += DAY
    assert world.connection.retrieve_session(session.session_id) is None


@pytest.mark.parametrize(
    "data",
    [
        {"session_id": "other", "user_id": "eve", "expires": 9e9},
        {"session_id": "mine", "expires": "tomorrow"},
        {"user_id": "eve"},
        ["no", "session"],
    ],
)
def test_cache_that_mixes_things_up(data: Any) -> None:
    """What a cache returns for an id is no session unless it is that session."""
    cache = DictionaryCache()
    cache.kept["mine"] = data
    assert CacheSessionStore(cache).load(["mine", "none"]) == [None, None]


def test_cache_that_chooses_ids() -> None:
    """A cache that makes ids need not know them when it is asked for the session."""

    class Choosing(DictionaryCache):
        def store_session(self, session_data: dict[str, Any]) -> str | None:
            del session_data["session_id"]
            self.kept["chosen"] = session_data
            return "chosen"

    world = World()
    world.connection.set_session_cache(Choosing())
    session = world.connection.create_session()
    assert session.session_id == "chosen"
    found = world.connection.retrieve_session("chosen")
    assert found is not None
    assert found.session_id == "chosen"


def test_cache_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """An exception of a cache is logged and becomes error 1107."""
    world, cache = World(), DictionaryCache()
    world.connection.set_session_cache(cache)
    cache.error = RuntimeError("no such host")
    assert refusal(world.connection.create_session)[0] == 1107
    assert refusal(lambda: world.connection.retrieve_session("x"))[0] == 1107
    assert "no such host" in caplog.text


def test_failures_are_not_all_told(caplog: pytest.LogCaptureFixture) -> None:
    """Of failures one in ten seconds is logged, with where it happened, and never the id or key."""
    clock, cache = SettableClock(), DictionaryCache()
    store = CacheSessionStore(cache, clock)
    session_id, key = "pX9nQ2vT4kLw7sYbE1uAfg", "Xk3v0cUW1tJ0i9nQmB7y2a"
    record = SessionRecord(session_id, "ann", clock.now, clock.now + DAY, key)
    for text in (f"no row {session_id!r}", f"cut off: {session_id[3:12]}"):
        cache.error = KeyError(text)
        for seconds in (9.9, 0.1):
            with pytest.raises(StoreFailed) as raised:
                store.load([session_id])
            assert raised.value.__cause__ is None
            assert raised.value.__suppress_context__
            clock.now += seconds
    cache.error = KeyError(f"key={key}")
    for _ in range(2):
        with pytest.raises(StoreFailed):
            store.create(record)

    assert len(caplog.records) == 3
    assert caplog.text.count("DictionaryCache failed: KeyError") == 3
    assert caplog.text.count("in load_session") == 2
    assert session_id[3:12] not in caplog.text
    assert key not in caplog.text


def test_cache_that_says_it_is_away() -> None:
    """Its own StoreUnavailable is no doubtful failure."""
    cache = DictionaryCache()
    cache.error = StoreUnavailable()
    with pytest.raises(StoreUnavailable) as raised:
        CacheSessionStore(cache).load(["x"])
    assert not isinstance(raised.value, StoreFailed)


def test_record_that_is_compared() -> None:
    """With ``replaces`` a record is written in the place of that one only."""
    store = CacheSessionStore(DictionaryCache())
    first = SessionRecord("id", "ann", time.time(), time.time() + DAY)
    second = replace(first, state=b"second")
    store.create(first)

    assert store.update(second, replaces=first) == "id"
    assert store.update(replace(first, state=b"third"), replaces=first) is None
    assert store.load(["id"]) == [second]


@pytest.mark.parametrize("end", ["remove", "remove_user"])
@pytest.mark.parametrize("moment", ["load_session", "store_session"])
def test_session_that_ends_while_it_is_written(end: str, moment: str) -> None:
    """A session that is ended between the look and the write stays ended, and None is returned."""

    class Racing(DictionaryCache):
        def remove_user(self, user_id: str) -> None:
            self.kept = {k: v for k, v in self.kept.items() if v["user_id"] != user_id}

    cache = Racing()
    store = CacheSessionStore(cache)
    record = SessionRecord("id", "ann", time.time(), time.time() + DAY)
    store.create(record)
    own: Callable[[Any], Any] = getattr(cache, moment)

    def race(argument: Any) -> Any:
        found = own(argument) if moment == "load_session" else None
        getattr(store, end)("id" if end == "remove" else "ann")
        return found if moment == "load_session" else own(argument)

    setattr(cache, moment, race)
    assert store.update(replace(record, state=b"new")) is None
    delattr(cache, moment)

    assert store.load(["id"]) == [None]
    store.create(record)
    assert store.update(replace(record, state=b"new")) == "id"


def test_cache_and_users(caplog: pytest.LogCaptureFixture) -> None:
    """A cache that cannot end a user's sessions is warned of once; one that can is asked."""
    world, cache = World(), DictionaryCache()
    world.connection.create_account("ann", "pw")
    world.connection.set_session_cache(cache)
    world.connection.clear_sessions("ann")
    world.connection.clear_sessions("ann")
    assert caplog.text.count("DictionaryCache has no remove_user") == 1

    class Able(DictionaryCache):
        def remove_user(self, user_id: str) -> None:
            self.kept = {k: v for k, v in self.kept.items() if v["user_id"] != user_id}

    able = Able()
    world.connection.set_session_cache(able)
    world.connection.create_session("ann", verify_password=False)
    world.connection.clear_sessions("ann")
    assert able.kept == {}


def test_account_store_of_an_application() -> None:
    """Accounts may be kept elsewhere, sessions stay where they were."""
    world, (other, other_memory) = World(), open_memory_database(time.time)
    world.connection.set_account_store(other.accounts)
    world.connection.create_account("ann", "pw")
    session = world.connection.create_session("ann", "pw")
    assert list(other_memory.accounts) == ["ann"]
    assert world.memory.accounts == {}
    assert world.connection.retrieve_session(session.session_id) is not None
