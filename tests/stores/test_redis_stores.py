"""What is special about the stores in Redis: keys, lifetimes, damage, and kinds of servers."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import redis

from toto._core.kinds import Secret
from toto._core.stores.record import SessionRecord, generate_session_id, session_digest
from toto._core.stores.redis_database import open_redis_database, open_redis_sessions
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import Credentials, Database, StoreUnavailable
from toto_testkit.redis_server import (
    OwnRedis,
    OwnSentinel,
    has_tls,
    make_certificate,
    remove_keys,
    running_redis,
)
from toto_testkit.stores import at_once

pytestmark = pytest.mark.usefixtures("no_leaks")

PASSWORD = "not the real one"  # noqa: S105
COMMANDS = (
    "get mget set getdel del incrby hset hget hmget hincrby exists zadd zrem zrange "
    "zrevrange zremrangebyscore pexpire watch unwatch multi exec"
)
"""All that the stores use; the documentation gives them for an ACL."""


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@dataclass
class Opened:
    """A database under a prefix of its own, and a client that looks behind it."""

    settings: StoreSettings
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.prefix = self.settings.redis_prefix
        self.store = open_redis_database(self.settings, self.clock)
        self.raw: Any = redis.Redis.from_url(self.settings.redis_url.reveal())

    def record(self, user_id: str | None = "user", lasting_seconds: float = 600) -> SessionRecord:
        now = self.clock()
        expires = now + lasting_seconds
        return SessionRecord(generate_session_id(), user_id, now, expires, "k" * 43, b"state")

    def load(self, session_id: str) -> SessionRecord | None:
        (record,) = self.store.sessions.load([session_id])
        return record

    def key(self, session_id: str) -> str:
        return f"{self.prefix}session:{session_digest(session_id).hex()}"

    @property
    def index(self) -> str:
        return f"{self.prefix}user-sessions:user"

    def close(self) -> None:
        self.store.close()
        self.raw.close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The shared server."""
    with running_redis() as url:
        yield url


def settings_for(url: str, prefix: str = "", **options: Any) -> StoreSettings:
    prefix = prefix or f"test-{secrets.token_hex(5)}:"
    options = {"store_timeout": 5.0, **options}
    return StoreSettings(database="redis", redis_url=Secret(url), redis_prefix=prefix, **options)


@pytest.fixture
def opened(url: str) -> Iterator[Opened]:
    """A database of the test's own on the shared server."""
    with closing(Opened(settings_for(url))) as opened:
        yield opened
    remove_keys(url, opened.prefix)


def everything(opened: Opened) -> bytes:
    """Return all keys of the prefix, and all they hold."""
    readers: dict[bytes, Callable[[bytes], Any]] = {
        b"string": opened.raw.get,
        b"hash": opened.raw.hgetall,
        b"zset": lambda key: opened.raw.zrange(key, 0, -1),
    }
    keys = list(opened.raw.scan_iter(match=f"{opened.prefix}*"))
    assert keys
    return repr([(key, readers[opened.raw.type(key)](key)) for key in keys]).encode()


def test_session_id_is_nowhere_in_redis(opened: Opened) -> None:
    """Neither a key nor a value holds a session id, nor the key of a counter."""
    record = opened.record()
    opened.store.accounts.create("user", "hash", {"name": "A"})
    opened.store.sessions.create(record)
    opened.store.sessions.update(replace(record, expires=record.expires + 1))
    opened.store.counters.hit(record.session_id, 60.0)

    assert record.session_id.encode() not in everything(opened)


def test_keys_live_as_long_as_the_session(opened: Opened) -> None:
    """The session's key expires with it, and the index of its user soon after."""
    record = opened.record(lasting_seconds=600)
    opened.store.sessions.create(record)

    assert 590_000 < opened.raw.pttl(opened.key(record.session_id)) <= 600_000
    assert 590_000 < opened.raw.pttl(opened.index) <= 601_001


def test_update_prolongs_key_and_index(opened: Opened) -> None:
    """A renewed session lives until its new end, and so does the index."""
    record = opened.record(lasting_seconds=600)
    opened.store.sessions.create(record)

    opened.store.sessions.update(replace(record, expires=record.expires + 600))

    assert 1_190_000 < opened.raw.pttl(opened.key(record.session_id)) <= 1_200_000
    assert 1_190_000 < opened.raw.pttl(opened.index) <= 1_201_001


def test_index_outlives_the_last_session(opened: Opened) -> None:
    """A shorter session that comes later does not shorten the index."""
    opened.store.sessions.create(opened.record(lasting_seconds=6000))
    opened.store.sessions.create(opened.record(lasting_seconds=60))

    assert opened.raw.pttl(opened.index) > 5_990_000


def test_anonymous_session_has_no_index(opened: Opened) -> None:
    """It is one key."""
    opened.store.sessions.create(opened.record(None))

    assert len(list(opened.raw.scan_iter(match=f"{opened.prefix}*"))) == 1


def test_endless_session(opened: Opened) -> None:
    """A session that never expires is kept, for a hundred years."""
    record = replace(opened.record(), expires=float("inf"))
    opened.store.sessions.create(record)

    assert opened.load(record.session_id) == record
    assert opened.raw.pttl(opened.key(record.session_id)) > 3_000_000_000_000


def test_index_forgets_what_has_expired(opened: Opened) -> None:
    """A new session drops those from the index whose time is over."""
    opened.store.sessions.create(opened.record(lasting_seconds=60))
    opened.clock.now += 100
    opened.store.sessions.create(opened.record(lasting_seconds=60))

    assert opened.raw.zcard(opened.index) == 1


def test_renewed_session_stays_in_the_index(opened: Opened) -> None:
    """After its first end has passed, a renewed session is still ended with its user."""
    record = opened.record(lasting_seconds=60)
    opened.store.sessions.create(record)
    opened.store.sessions.update(replace(record, expires=record.expires + 600))
    opened.clock.now += 100
    opened.store.sessions.create(opened.record())
    assert opened.load(record.session_id) is not None

    opened.store.sessions.remove_user("user")

    assert opened.load(record.session_id) is None
    assert opened.raw.exists(opened.index) == 0


def test_removed_session_leaves_the_index(opened: Opened) -> None:
    """Nothing is left of the only session of a user."""
    record = opened.record()
    opened.store.sessions.create(record)

    opened.store.sessions.remove(record.session_id)

    assert list(opened.raw.scan_iter(match=f"{opened.prefix}*")) == []


def test_remove_user_of_many_sessions(opened: Opened) -> None:
    """More sessions than one command removes are all ended."""
    session_ids = [opened.store.sessions.create(opened.record()) for _ in range(1001)]

    opened.store.sessions.remove_user("user")

    assert opened.store.sessions.load(session_ids) == [None] * 1001


def test_expired_session_is_not_brought_back(opened: Opened) -> None:
    """An update of a session that is over, but still in Redis, removes it."""
    record = opened.record(lasting_seconds=60)
    opened.store.sessions.create(record)
    opened.clock.now += 100

    assert opened.store.sessions.update(replace(record, expires=record.expires + 600)) is None
    assert opened.load(record.session_id) is None
    assert opened.raw.exists(opened.key(record.session_id)) == 0


@pytest.mark.parametrize("damaged", [b"", b"\x00", b"\x93\x01\x02", b"\xc1" * 100, b'{"a": 1}'])
def test_damaged_session_is_none_and_logged(
    opened: Opened, caplog: pytest.LogCaptureFixture, damaged: bytes
) -> None:
    """Bytes that are no record are no session, and one line of the log; they can be replaced."""
    record = opened.record()
    opened.raw.set(opened.key(record.session_id), damaged)

    assert opened.load(record.session_id) is None
    assert [line.levelname for line in caplog.records] == ["ERROR"]
    assert "unreadable" in caplog.text
    assert record.session_id not in caplog.text
    opened.store.sessions.remove(record.session_id)
    opened.store.sessions.create(record)
    assert opened.load(record.session_id) == record


def test_record_of_another_session_is_none(opened: Opened) -> None:
    """A session's bytes under another session's key let nobody in."""
    mine, theirs = opened.record(), opened.record()
    opened.store.sessions.create(theirs)
    opened.raw.copy(opened.key(theirs.session_id), opened.key(mine.session_id))

    assert opened.load(mine.session_id) is None
    assert opened.load(theirs.session_id) == theirs


def test_key_of_another_type_is_unavailable(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    """An account key that is no hash is an error of the store, not a new account."""
    opened.raw.set(f"{opened.prefix}account:user", "text")

    with pytest.raises(StoreUnavailable):
        opened.store.accounts.credentials("user")
    assert opened.store.accounts.create("user", "hash", {}) is False


def test_damaged_property_is_left_out(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    """The other properties are loaded, and the log names the damaged one."""
    opened.store.accounts.create("user", "hash", {"good": 1, "bad": 2})
    opened.raw.hset(f"{opened.prefix}account:user", "p:bad", b"\xc1")

    assert opened.store.accounts.load("user", ["good", "bad"]) == {"good": 1}
    assert "'bad'" in caplog.text


def test_counter_always_expires(opened: Opened) -> None:
    """The first hit sets the lifetime of the key, a later one leaves it."""
    opened.store.counters.hit("key", 60.0)
    opened.store.counters.hit("key", 6000.0)

    (key,) = opened.raw.scan_iter(match=f"{opened.prefix}*")
    assert 50_000 < opened.raw.pttl(key) <= 60_000


def test_methods_may_wait_longer_than_the_store(url: str) -> None:
    """A blocking command of a method outlasts store_timeout."""
    with closing(Opened(settings_for(url, store_timeout=0.2))) as opened:
        began_at = time.monotonic()

        assert opened.store.handle.blpop(f"{opened.prefix}nothing", timeout=1) is None
        assert time.monotonic() - began_at > 0.8


def test_password_is_hidden(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong password is StoreUnavailable; neither log nor repr nor cause shows it."""
    with OwnRedis(password="right") as server:  # noqa: S106
        wrong = f"redis://:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{server.port}"
        with closing(open_redis_database(settings_for(wrong))) as store:
            with pytest.raises(StoreUnavailable) as caught:
                store.sessions.load(["id"])
            pool = store.handle.connection_pool
            shown = [store, store.handle, pool, pool.connection_kwargs, caught.value.__cause__]

    assert PASSWORD not in caplog.text + "".join(map(repr, shown))
    assert "AuthenticationError" in caplog.text


def check_everything(store: Database) -> None:
    """Use every part of a store once."""
    now = time.time()
    record = SessionRecord(generate_session_id(), "user", now, now + 60, "k", b"s")
    store.sessions.create(record)
    longer = replace(record, expires=now + 120)
    assert store.sessions.update(longer) == record.session_id
    rivals = [replace(record, state=b"%d" % index) for index in range(8)]
    won = at_once(lambda index: store.sessions.update(rivals[index], replaces=longer) is not None)
    winner = rivals[won.index(True)]
    assert won.count(True) == 1
    assert store.sessions.load([record.session_id]) == [winner]
    assert store.sessions.update(longer, replaces=winner) == record.session_id
    assert store.sessions.load([record.session_id, "unknown"]) == [longer, None]
    assert store.accounts.create("user", "hash", {"a": 1}) is True
    assert store.accounts.create("user", "other", {}) is False
    assert store.accounts.set_password("user", "new", replaces="hash") is True
    store.accounts.end_sessions("user")
    assert store.accounts.update("user", {"b": 2}) is True
    assert store.accounts.load("user", ["a", "b"]) == {"a": 1, "b": 2}
    assert store.accounts.credentials("user") == Credentials("new", 1)
    assert [store.counters.hit("key", 60.0), store.counters.hit("key", 60.0)] == [1, 2]
    assert store.counters.counts(["key", "unknown"]) == [2, 0]
    store.counters.clear("key")
    store.sessions.remove(record.session_id)
    store.sessions.create(record)
    store.sessions.remove_user("user")
    assert store.sessions.load([record.session_id]) == [None]


@pytest.mark.parametrize("kind", ["plain", "password", "unix", "cluster", "sentinel", "tls"])
def test_every_kind_of_server(kind: str, tmp_path: Path) -> None:
    """Every part of the store works with each kind of server."""
    if kind == "tls" and not has_tls():
        pytest.skip("this redis-server has no TLS, or there is no openssl")
    with ExitStack() as stack:
        server = stack.enter_context(
            OwnRedis(
                password="a b" if kind == "password" else "",
                tls=make_certificate(tmp_path) if kind == "tls" else None,
                is_cluster=kind == "cluster",
            )
        )
        url = server.unix_url if kind == "unix" else server.url
        if kind == "sentinel":
            url = stack.enter_context(OwnSentinel(server)).url
        with closing(open_redis_database(settings_for(url))) as store:
            check_everything(store)
            assert store.handle.ping() is True
            store.close()
            assert store.accounts.credentials("user") == Credentials("new", 1)


def test_unknown_authority_is_refused(tmp_path: Path) -> None:
    """A TLS server whose certificate nobody vouches for is not spoken to."""
    if not has_tls():
        pytest.skip("this redis-server has no TLS, or there is no openssl")
    with OwnRedis(tls=make_certificate(tmp_path)) as server:
        url = f"rediss://127.0.0.1:{server.port}"
        with (
            closing(open_redis_database(settings_for(url))) as store,
            pytest.raises(StoreUnavailable),
        ):
            store.sessions.load(["id"])
        with closing(open_redis_database(settings_for(f"{url}?ssl_cert_reqs=none"))) as store:
            assert store.sessions.load(["id"]) == [None]


def test_few_commands_are_needed() -> None:
    """A Redis user with these commands and these keys can do everything."""
    with OwnRedis() as server:
        rules = [f"+{command}" for command in COMMANDS.split()]
        server.command(
            "ACL", "SETUSER", "toto", "on", ">pw", "resetkeys", "~own:*", "-@all", *rules
        )
        url = f"redis://toto:pw@127.0.0.1:{server.port}"
        with closing(open_redis_database(settings_for(url, "own:"))) as store:
            check_everything(store)
        with (
            closing(open_redis_database(settings_for(url, "other:"))) as store,
            pytest.raises(StoreUnavailable),
        ):
            store.counters.hit("key", 1.0)


def test_sessions_apart_from_accounts(url: str) -> None:
    """Sessions and counters can be opened alone, and see what the whole database wrote."""
    settings = settings_for(url)
    apart = open_redis_sessions(settings)
    with closing(Opened(settings)) as opened:
        record = opened.record()
        apart.sessions.create(record)
        assert opened.load(record.session_id) == record
        assert apart.counters.hit("key", 60.0) == 1
        assert opened.store.counters.counts(["key"]) == [1]
    apart.close()
    apart.close()
    remove_keys(url, settings.redis_prefix)
