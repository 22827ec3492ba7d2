"""Accounts and sessions are the same in every store, and away with it (section 5, code 1107)."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import redis

from toto._core.kinds import Secret
from toto._core.stores.settings import StoreSettings
from toto_testkit.cluster import Cluster, member
from toto_testkit.fixtures import InBackground
from toto_testkit.redis_server import OwnRedis, remove_keys
from toto_testkit.sessions import PASSWORD, UNLIMITED, Client, new_client, response_hmac_v1
from toto_testkit.stores import store_settings
from toto_testkit.waiting import poll_until

pytestmark = pytest.mark.system

leaving_nothing = pytest.mark.usefixtures("no_leaks")  # but for the test that restarts a server

SESSION_KEY = "a key of client sessions 0123456789 abc"
NEW_PASSWORD = "another fine password"  # noqa: S105  # of accounts that live for one test
WRONG_LOGIN = {"code": 1005, "value": "Invalid user ID or password"}
STORES = ["sqlite", "redis", "postgres", "mysql", "sqlite+redis", "sqlite+client"]
FAILS_WITHIN_SECONDS = 0.5
FAILS_WITHIN_SECONDS_IF_SILENT = 1.0  # promised: 0.5; machines that run tests are busy


def as_options(settings: StoreSettings) -> dict[str, Any]:
    """Return as options of a command what differs from the defaults."""
    defaults = StoreSettings()
    chosen = {f.name: getattr(settings, f.name) for f in fields(settings)}
    return {
        name: plain(value) for name, value in chosen.items() if value != getattr(defaults, name)
    }


def plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    return str(value) if isinstance(value, Path) else value


@pytest.fixture(scope="module", params=STORES)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A cluster on each store; what it has put there is removed."""
    directory = tmp_path_factory.mktemp("store")
    accounts, _, cache = request.param.partition("+")
    with ExitStack() as stack:
        options: dict[str, Any] = {"session_cache": cache or "none"}
        names = [accounts, cache] if cache == "redis" else [accounts]
        for name in reversed(names):
            options |= as_options(stack.enter_context(store_settings(name, directory)))
        options["database"] = accounts
        if cache == "client":
            options["session_keys"] = SESSION_KEY
        if "redis_prefix" in options:
            stack.callback(remove_keys, options["redis_url"], options["redis_prefix"])
        options |= {**UNLIMITED, "threads": 4, "hmac_enabled": True, "account_fields": ["city"]}
        yield stack.enter_context(Cluster(directory, workers=1, options=options))


def code(client: Client) -> int:
    """Return the error code of a call that only users may make, 0 for none."""
    body = b'{"method": "session.secret", "parameters": {}}'
    response = client.send("POST", "/", body, "application/json")
    return int(response.json().get("error", {"code": 0})["code"])


@leaving_nothing
def test_the_walk_of_a_user(store: Cluster) -> None:
    """Create, log in, call, batch, remember, change the password, log out."""
    client = Client(store, "v1")
    created = client.create(city="Köln").json()
    assert created["result"]["user_id"] == client.user_id
    taken = store.call("account.create", {"user_id": client.user_id.upper(), "password": "x"})
    assert taken.error["code"] == 1006
    wrong = store.call("account.login", {"user_id": client.user_id, "password": "wrong"})
    assert wrong.error == WRONG_LOGIN

    other = client.again()
    called = client.call("session.secret")
    expected = response_hmac_v1(client.key, client.session_id, called.body)
    assert called.result == f"for {client.user_id}"
    assert called.headers["x-toto-hmac"] == expected

    batch = client.batch(
        a=member("session.remember", name="a", value={"text": "ä", "list": [1, None]}),
        b=member("session.remember", name="b", value=2.5),
    ).json()
    assert batch["session"]["user_id"] == client.user_id
    assert client.call("session.recall").result == {"a": {"text": "ä", "list": [1, None]}, "b": 2.5}
    assert other.call("session.recall").result == {}

    changed = client.call("account.update", password=PASSWORD, new_password=NEW_PASSWORD).json()
    assert "result" in changed, changed
    refused = store.call("account.login", {"user_id": client.user_id, "password": PASSWORD})
    assert refused.error == WRONG_LOGIN

    client.password = NEW_PASSWORD
    last, kept = client.again(), client.again()
    ended = Client(store, "v1", last.user_id, NEW_PASSWORD, last.session_id, last.key)
    assert last.call("account.logout").result == {"authenticated": False}
    poll_until(lambda: (code(other), code(ended)) == (1004, 1004), 6.0, "both have ended")
    assert code(kept) == 0


@leaving_nothing
def test_properties_of_an_account(store: Cluster) -> None:
    """What create, update and methods set is read back, by its type; what is missing is None."""
    client = new_client(store, "v1", city="Köln")
    other = client.again()

    assert client.call("session.account_set", level=3, tags=["a", {"b": None}]).result
    first = other.call("session.account_get", names=["city", "level", "tags", "none"]).result
    client.call("account.update", city=None, level=9)
    client.call("account.update", city="Ulm")
    second = other.call("session.account_get", names=["city", "level"]).result

    assert first == {"city": "Köln", "level": 3, "tags": ["a", {"b": None}], "none": None}
    assert second == {"city": "Ulm", "level": 3}


@leaving_nothing
def test_an_anonymous_session_keeps_state(store: Cluster) -> None:
    """For strangers in every store; garbage is nobody's session."""
    client = Client(store)

    assert [client.call("session.anon").result["count"] for _ in range(3)] == [1, 2, 3]
    for text in ("x", "A" * 22, "'", "\xff", "%", "a" * 4000):
        refused = store.call("session.secret", headers={"x-toto-session-id": text})
        assert refused.error["code"] == 1004


@leaving_nothing
def test_parallel_calls_keep_one_another_s_variables(
    store: Cluster, in_background: InBackground
) -> None:
    """A hundred calls of one session, twenty at a time, each save a variable of their own."""
    if store.options["session_cache"] == "client":
        pytest.skip("each call of a client session answers with a token of its own")
    client = new_client(store, "v1")

    def remember(number: int) -> list[Any]:
        names = [f"{number}.{count}" for count in range(5)]
        return [client.call("session.remember", name=name, value=name).result for name in names]

    calls = [in_background(remember, number) for number in range(20)]
    saved = [name for call in calls for name in call.result()]

    assert len(saved) == 100
    assert client.call("session.recall").result == {name: name for name in saved}


@leaving_nothing
def test_no_store_holds_what_opens_a_session(store: Cluster) -> None:
    """Who reads the store has neither ids nor passwords: Redis and the file of sqlite."""
    client = new_client(store, "v1")
    client.call("session.counter")
    options = store.options

    kept = b"".join(stored_bytes(options))

    if options["database"] in ("redis", "sqlite"):
        assert client.user_id.encode() in kept
    assert client.session_id.encode() not in kept
    assert PASSWORD.encode() not in kept


def stored_bytes(options: Any) -> Iterator[bytes]:
    if options["database"] == "sqlite":
        path = Path(options["sqlite_path"])
        yield from (part.read_bytes() for part in path.parent.glob(f"{path.name}*"))
    if "redis_prefix" in options:
        with closing(redis.Redis.from_url(options["redis_url"])) as server:
            for key in server.scan_iter(match=f"{options['redis_prefix']}*", count=1000):
                yield key
                yield server.dump(key) or b""
                yield from redis_texts(server, key)


def redis_texts(server: Any, key: bytes) -> Iterator[bytes]:
    """Yield what is in a key as it is: a dump may be compressed."""
    kind = server.type(key)
    if kind == b"string":
        yield server.get(key)
    if kind == b"hash":
        yield from (part for pair in server.hgetall(key).items() for part in pair)
    if kind == b"set":
        yield from server.smembers(key)
    if kind == b"zset":
        yield from server.zrange(key, 0, -1)


# -- a store that is away


@pytest.fixture(scope="module")
def own_redis() -> Iterator[OwnRedis]:
    """A Redis of these tests' own."""
    with OwnRedis() as server:
        yield server


@pytest.fixture(scope="module")
def on_redis(
    tmp_path_factory: pytest.TempPathFactory, own_redis: OwnRedis
) -> Iterator[tuple[Cluster, Cluster]]:
    """A cluster with all it keeps in that Redis, and one whose sessions are clients' tokens."""
    common = {**UNLIMITED, "database": "redis", "redis_url": own_redis.url, "threads": 4}
    token = {"session_cache": "client", "session_keys": SESSION_KEY}
    with (
        Cluster(tmp_path_factory.mktemp("stored"), workers=1, options=common) as stored,
        Cluster(tmp_path_factory.mktemp("carried"), workers=1, options=common | token) as carried,
    ):
        yield stored, carried


def assert_unavailable(client: Client, method: str, within_seconds: float, **given: Any) -> None:
    """Check that a call is told at once that the store is away, and when to come again."""
    began_at = time.monotonic()
    response = client.call(method, **given)
    took_seconds = time.monotonic() - began_at

    assert response.status == 503
    assert response.error["code"] == 1107
    assert response.error["retryable"] is True
    assert response.error["request_id"] == response.headers["x-request-id"]
    assert int(response.headers["retry-after"]) >= 1
    assert "session" not in response.json()
    assert took_seconds < within_seconds


def assert_away(stored: Cluster, client: Client, within_seconds: float) -> None:
    """Check all that must hold while the Redis of the sessions does not answer."""
    login = {"user_id": client.user_id, "password": PASSWORD}
    headers = {"x-toto-session-id": client.session_id}
    for method in ("session.secret", "session.counter", "session.whoami", "session.maybe"):
        assert_unavailable(client, method, within_seconds)
    assert_unavailable(Client(stored), "account.login", within_seconds, **login)
    assert_unavailable(Client(stored), "account.create", within_seconds, **login)
    assert_unavailable(Client(stored), "session.anon", within_seconds)
    assert stored.call("echo", {"a": 1}).result == {"a": 1}
    assert stored.call("session.secret").error["code"] == 1004
    assert stored.call("session.maybe").json() == {"result": None}
    members = {"user": member("session.secret"), "any": member("echo", a=1)}
    batch = stored.post({"batch": members}, headers=headers).json()["batch"]
    assert batch["user"]["error"]["code"] == 1107
    assert batch["any"] == {"result": {"a": 1}}


def wait_recovered(cluster: Cluster, user_id: str) -> None:
    """Wait a second at most until gateway and worker reach the store; 1107 is all before."""
    anonymous = Client(cluster)
    anonymous.session_id = "A" * 22
    login = {"user_id": user_id, "password": "wrong"}

    def is_served() -> bool:
        codes = {
            anonymous.call("session.secret").error["code"],
            cluster.call("account.login", login).error["code"],
        }
        assert codes <= {1004, 1005, 1107}
        return codes == {1004, 1005}

    poll_until(is_served, 1.0, "calls are served again")


@leaving_nothing
def test_a_silent_store_is_1107(own_redis: OwnRedis, on_redis: tuple[Cluster, Cluster]) -> None:
    """Nobody waits for a server that does not answer; when it does again, all is as before."""
    stored, carried = on_redis
    client, bearer = new_client(stored), new_client(carried)
    client.call("session.counter")
    bearer.call("session.secret")

    own_redis.pause()
    try:
        assert_away(stored, client, FAILS_WITHIN_SECONDS_IF_SILENT)
        assert bearer.call("session.secret").result == f"for {bearer.user_id}"
    finally:
        own_redis.resume()
    wait_recovered(stored, client.user_id)
    wait_recovered(carried, bearer.user_id)

    assert client.call("session.counter").result == 2
    assert bearer.call("session.counter").result == 1


def test_a_stopped_store_is_1107(own_redis: OwnRedis, on_redis: tuple[Cluster, Cluster]) -> None:
    """Tokens in use stay good for calls; logins are not; the store comes back and all works."""
    stored, carried = on_redis
    client, bearer = new_client(stored), new_client(carried)
    login = {"user_id": bearer.user_id, "password": PASSWORD}
    bearer.call("session.secret")

    own_redis.stop()
    try:
        assert_away(stored, client, FAILS_WITHIN_SECONDS)
        assert bearer.call("session.secret").result == f"for {bearer.user_id}"
        assert bearer.call("session.counter").result == 1
        assert bearer.call("session.counter").result == 2
        assert_unavailable(Client(carried), "account.login", FAILS_WITHIN_SECONDS, **login)
        assert carried.call("echo", {"a": 1}).result == {"a": 1}
    finally:
        own_redis.start()
    wait_recovered(stored, client.user_id)

    # The server came back empty: a session that it has lost is none, and no error.
    assert client.call("session.secret").error["code"] == 1004
    again = Client(stored, user_id=client.user_id)
    again.create()
    assert again.call("session.secret").result == f"for {client.user_id}"
