"""Session caches and account stores that an application brings."""

import time
from typing import Any

import pytest

from toto._core.stores.cache_sessions import CacheSessionStore
from toto.session import TotoSessionCache
from toto_testkit.memory_stores import open_memory_database
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
