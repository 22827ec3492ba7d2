"""The MongoDB store as far as it goes without a server: there is none here to test with."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from pymongo.database import Database as MongoHandle

from toto._core.kinds import Secret, SettingsError
from toto._core.stores.mongo_database import open_mongo_database
from toto._core.stores.record import SessionRecord, generate_session_id
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import Database, StoreUnavailable
from toto_testkit.ports import free_port
from toto_testkit.redis_server import silent_listener

WITHIN_SECONDS = 1.5
"""The default store_timeout is 0.4 s, pymongo looks every 0.5 s whether it is over, and the rest is
for a busy machine."""


def make_record() -> SessionRecord:
    now = time.time()
    return SessionRecord(generate_session_id(), "user", now, now + 600)


CALLS: dict[str, Callable[[Database], Any]] = {
    "load": lambda store: store.sessions.load(["id"]),
    "create": lambda store: store.sessions.create(make_record()),
    "update": lambda store: store.sessions.update(make_record()),
    "exchange": lambda store: store.sessions.update(make_record(), replaces=make_record()),
    "remove": lambda store: store.sessions.remove("id"),
    "remove_user": lambda store: store.sessions.remove_user("user"),
    "create account": lambda store: store.accounts.create("user", "hash", {"a.b": 1}),
    "credentials": lambda store: store.accounts.credentials("user"),
    "set_password": lambda store: store.accounts.set_password("user", "hash", replaces="old"),
    "end_sessions": lambda store: store.accounts.end_sessions("user"),
    "load account": lambda store: store.accounts.load("user", ["name"]),
    "update account": lambda store: store.accounts.update("user", {"name": 1}),
    "hit": lambda store: store.counters.hit("key", 1.0),
    "counts": lambda store: store.counters.counts(["key"]),
    "clear": lambda store: store.counters.clear("key"),
}


def settings_for(port: int, **options: Any) -> StoreSettings:
    return StoreSettings(database="mongodb", db_host="127.0.0.1", db_port=port, **options)


@pytest.fixture
def silent() -> Iterator[Database]:
    """A store whose server accepts connections and never answers."""
    with silent_listener() as port, closing(open_mongo_database(settings_for(port))) as store:
        yield store


def test_absent_server_is_unavailable_in_time() -> None:
    """Every call on a closed port is StoreUnavailable soon."""
    with (
        closing(open_mongo_database(settings_for(free_port()))) as store,
        ThreadPoolExecutor(len(CALLS)) as pool,
    ):
        began_at = time.monotonic()
        futures = {name: pool.submit(call, store) for name, call in CALLS.items()}
        errors = {name: type(future.exception()) for name, future in futures.items()}
        waited_seconds = time.monotonic() - began_at

    assert errors == dict.fromkeys(CALLS, StoreUnavailable)
    assert waited_seconds < WITHIN_SECONDS


def test_silent_server_is_unavailable_in_time(silent: Database) -> None:
    """A server that never answers is waited for no longer than the time limit."""
    for call in (CALLS["load"], CALLS["hit"]):
        began_at = time.monotonic()
        with pytest.raises(StoreUnavailable):
            call(silent)
        assert time.monotonic() - began_at < WITHIN_SECONDS


def test_outage_is_logged_once(silent: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Three failures in a row are one line, which names the server and no password."""
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            silent.accounts.credentials("user")

    lines = [record.getMessage() for record in caplog.records if record.name == "toto.store"]
    assert len(lines) == 1
    assert lines[0].startswith("MongoDB at 127.0.0.1:")
    assert "is not available" in lines[0]


def test_opening_connects_to_nothing() -> None:
    """A store is put together without its server, shows no password, and closes twice."""
    settings = settings_for(
        free_port(),
        mongodb_user="me",
        mongodb_password=Secret("hidden"),
        mongodb_database="sessions",
    )
    store = open_mongo_database(settings)

    assert isinstance(store.handle, MongoHandle)
    assert store.handle.name == "sessions"
    assert store.is_remote
    assert "hidden" not in repr(store)
    store.close()
    store.close()


def test_nothing_asked_needs_no_server() -> None:
    """Loading no sessions and no counters gives none."""
    with closing(open_mongo_database(settings_for(free_port()))) as store:
        assert store.sessions.load([]) == []
        assert store.counters.counts([]) == []


@pytest.mark.parametrize("name", ["user_id", "password", "generation", "created"])
def test_reserved_names_are_refused(name: str) -> None:
    """A reserved property is a ValueError before anything is sent."""
    with closing(open_mongo_database(settings_for(free_port()))) as store:
        with pytest.raises(ValueError, match=name):
            store.accounts.update("user", {name: 1})
        with pytest.raises(ValueError, match=name):
            store.accounts.create("user", "hash", {name: 1})


@pytest.mark.parametrize("host", ["mongodb://me:hidden@h:port", "a b://hidden", ""])
def test_host_that_cannot_be_used(host: str) -> None:
    """What pymongo refuses is a settings error that does not repeat it."""
    settings = StoreSettings(database="mongodb", db_host=host, mongodb_user="me")

    with pytest.raises(SettingsError) as caught:
        open_mongo_database(settings).close()

    assert "hidden" not in str(caught.value)


def test_missing_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pymongo the settings error names the extra."""
    for name in list(sys.modules):
        if name.startswith("toto._core.stores.mongo_") and name != open_mongo_database.__module__:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymongo", None)

    with pytest.raises(SettingsError, match=r"pip install toto-gateway\[mongodb\]"):
        open_mongo_database(StoreSettings(database="mongodb"))
