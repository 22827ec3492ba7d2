"""The public session cache in Redis, with a client that the application made."""

import secrets
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from toto._core.kinds import Secret
from toto._core.stores.record import SessionRecord
from toto._core.stores.redis_database import open_redis_sessions
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import StoreUnavailable
from toto.redisconnection import RedisSessionCache
from toto_testkit.ports import free_port
from toto_testkit.redis_server import OwnRedis, remove_keys, running_redis

pytestmark = pytest.mark.usefixtures("no_leaks")


@dataclass(frozen=True)
class Opened:
    """A cache under a prefix of its own."""

    url: str
    prefix: str
    client: "redis.Redis"
    cache: RedisSessionCache


@pytest.fixture
def opened() -> Iterator[Opened]:
    """A cache of the test's own on the shared server."""
    prefix = f"test-{secrets.token_hex(5)}:"
    with running_redis() as url:
        with closing(redis.Redis.from_url(url)) as client:
            yield Opened(url, prefix, client, RedisSessionCache(client, prefix=prefix))
        remove_keys(url, prefix)


def make_data(session_id: str, **changes: Any) -> dict[str, Any]:
    now = time.time()
    record = SessionRecord(session_id, "user", now, now + 600, "k" * 43, b"state", 2, "t")
    return {**record.as_data(), **changes}


def test_three_fields_are_enough(opened: Opened) -> None:
    """Of Toto's session data these come back, and the rest gets its default."""
    data = {"session_id": "id", "expires": time.time() + 60, "user_id": "user"}

    opened.cache.store_session(data)

    loaded = opened.cache.load_session("id")
    assert loaded == {
        **data,
        "created": 0.0,
        "key": "",
        "state": b"",
        "generation": 0,
        "token_id": "",
    }


def test_data_comes_back_until_it_is_removed(opened: Opened) -> None:
    """What was stored is loaded whole, replaced by a second store, and gone after the removal."""
    opened.cache.store_session(make_data("id"))
    data = make_data("id", state=b"new")
    opened.cache.store_session(data)

    assert opened.cache.load_session("id") == data
    assert opened.cache.load_session("unknown") is None
    opened.cache.remove_session("id")
    opened.cache.remove_session("unknown")
    assert opened.cache.load_session("id") is None


def test_remove_user(opened: Opened) -> None:
    """All sessions of a user end, and no others."""
    for name, user_id in (("a", "user"), ("b", "user"), ("c", "other"), ("d", None)):
        opened.cache.store_session(make_data(name, user_id=user_id))

    opened.cache.remove_user("user")

    left = [name for name in "abcd" if opened.cache.load_session(name) is not None]
    assert left == ["c", "d"]


def test_expired_session_is_none(opened: Opened) -> None:
    """A session that is over when it is stored is not kept."""
    opened.cache.store_session(make_data("id", expires=time.time() - 1))

    assert opened.cache.load_session("id") is None


def test_same_sessions_as_the_option(opened: Opened) -> None:
    """What ``session_cache = redis`` writes the cache reads, and the other way round."""
    settings = StoreSettings(redis_url=Secret(opened.url), redis_prefix=opened.prefix)
    apart = open_redis_sessions(settings)
    data = make_data("id")
    other = make_data("other")

    opened.cache.store_session(data)
    apart.sessions.create(SessionRecord.from_data(other))

    assert apart.sessions.load(["id"]) == [SessionRecord.from_data(data)]
    assert opened.cache.load_session("other") == other
    apart.close()


def test_decoding_client_is_refused() -> None:
    """Records are bytes, so a client that decodes them is of no use."""
    with (
        closing(redis.Redis(decode_responses=True)) as client,
        pytest.raises(ValueError, match="decode_responses"),
    ):
        RedisSessionCache(client)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"session_id": "id", "user_id": None},
        make_data("id", expires="soon"),
        make_data("id", state="text"),
    ],
    ids=range(4),
)
def test_data_that_is_no_session_is_refused(opened: Opened, data: dict[str, Any]) -> None:
    """A missing field, or one of the wrong type, is a ValueError."""
    with pytest.raises(ValueError, match="session record"):
        opened.cache.store_session(data)


def test_absent_server_is_unavailable() -> None:
    """The client's errors become StoreUnavailable."""
    retry: Any = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    with closing(redis.Redis(port=free_port(), retry=retry)) as client:
        cache = RedisSessionCache(client)
        with pytest.raises(StoreUnavailable):
            cache.load_session("id")


def test_cluster_client() -> None:
    """A client of a cluster will do."""
    with OwnRedis(is_cluster=True) as server:
        cluster: Any = redis.cluster.RedisCluster(host="127.0.0.1", port=server.port)
        with closing(cluster):
            cache = RedisSessionCache(cluster)
            data = make_data("id")
            cache.store_session(data)
            assert cache.load_session("id") == data
            cache.remove_user("user")
            assert cache.load_session("id") is None
