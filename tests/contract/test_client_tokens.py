"""Sessions that live in the client's token (section 5, rows 2, 3, 6, 7, 8 and 13)."""

import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.fixtures import InBackground, MakeCluster
from toto_testkit.formats import JSON
from toto_testkit.http import Response
from toto_testkit.sessions import (
    PASSWORD,
    UNLIMITED,
    Client,
    new_client,
    response_hmac_v1,
    v1_headers,
)
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

OLD_KEY = "the first key of this cluster 0123456789"
NEW_KEY = "the key that came after it with 0123456789 ab"
NOT_AUTHORIZED = {"error": {"code": 1004, "value": "Not authorized"}}
TTL_SECONDS = 9.0
REVOKED_WITHIN_SECONDS = 6.0  # less than their lifetime, so that it is no expiry


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the accounts, which two clusters share."""
    return tmp_path_factory.mktemp("tokens-database") / "t.db"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Iterator[Cluster]:
    """Two gateways and two workers, none of which keeps a session; requests are signed."""
    options = {
        **UNLIMITED,
        "sqlite_path": str(database),
        "threads": 4,
        "processes": 2,
        "session_cache": "client",
        "session_keys": OLD_KEY,
        "session_ttl": TTL_SECONDS,
        "hmac_enabled": True,
    }
    with Cluster(tmp_path_factory.mktemp("tokens"), workers=2, options=options) as started:
        yield started


def at(client: Client, token: str) -> Client:
    """Return the client with another token of its session; the key is the same."""
    return Client(client.cluster, client.scheme, client.user_id, client.password, token, client.key)


def code(client: Client, method: str = "session.secret") -> int:
    """Return the error code of a call, 0 for none; the client's token stays what it is."""
    body = JSON.dumps({"method": method, "parameters": {}})
    response = client.send("POST", "/", body, "application/json")
    return int(response.json().get("error", {"code": 0})["code"])


def assert_ends(*clients: Client) -> None:
    """Check that all gateways refuse the tokens soon, long before they expire."""
    poll_until(
        lambda: all(code(client) == 1004 for _ in range(4) for client in clients),
        REVOKED_WITHIN_SECONDS,
        "the tokens are refused",
    )


def assert_signed(client: Client, response: Response) -> None:
    expected = response_hmac_v1(client.key, client.session_id, response.body)
    assert response.headers["x-toto-hmac"] == expected


# -- the token


def test_a_token_is_a_session(tokens: Cluster) -> None:
    """Calls, batches and answers' signatures are those of any other session."""
    client = Client(tokens, "v1")
    created = client.create()
    assert_signed(client, created)

    called = client.call("session.secret")
    assert_signed(client, called)
    batch = client.batch(a=member("session.secret"), b=member("session.whoami"))
    assert_signed(client, batch)

    assert called.result == f"for {client.user_id}"
    assert called.json()["session"]["user_id"] == client.user_id
    assert abs(called.json()["session"]["expires"] - (time.time() + TTL_SECONDS)) < 3
    assert batch.json()["batch"] == {
        "a": {"result": f"for {client.user_id}"},
        "b": {"result": client.user_id},
    }


def test_a_token_fits_a_header_and_a_cookie(tokens: Cluster) -> None:
    """Letters, digits and URL-safe signs; short while there is little in it."""
    client = new_client(tokens, "v1")

    assert len(client.session_id) < 1000
    assert all(c.isascii() and (c.isalnum() or c in "-_.=~") for c in client.session_id)


def test_a_token_tells_nothing(tokens: Cluster) -> None:
    """User, key and state are encrypted."""
    client = new_client(tokens, "v1")
    client.call("session.remember", name="secret-name", value="secret-value")

    padded = client.session_id.replace(".", "") + "=="
    seen = client.session_id.encode() + urlsafe_b64decode(padded[: len(padded) // 4 * 4])

    for text in (client.user_id, client.key, "secret-name", "secret-value"):
        assert text.encode() not in seen


def test_two_tokens_of_the_same_are_not_the_same(tokens: Cluster) -> None:
    """Each has random bytes of its own (row 6): no common middle either."""
    client = new_client(tokens, "v1")
    other = client.again()
    pieces = {client.session_id[n : n + 12] for n in range(16, len(client.session_id) - 12)}

    assert not any(piece in other.session_id[16:] for piece in pieces)


def test_state_travels_with_the_token(tokens: Cluster) -> None:
    """The answer's token has it; both workers read it."""
    client = new_client(tokens, "v1")

    assert [client.call("session.counter").result for _ in range(6)] == list(range(1, 7))
    client.batch(
        a=member("session.remember", name="a", value=1),
        b=member("session.remember", name="b", value=2),
    )

    assert client.call("session.recall").result == {"count": 6, "a": 1, "b": 2}


def test_an_anonymous_token_keeps_state(tokens: Cluster) -> None:
    """A stranger carries a token too, and is no user by it."""
    client = Client(tokens)

    assert [client.call("session.anon").result["count"] for _ in range(3)] == [1, 2, 3]
    assert client.call("session.secret").json() == NOT_AUTHORIZED


def test_row_03_saved_tokens_do_not_grow(tokens: Cluster) -> None:
    """No token holds its predecessor: after 40 saves it is as long as the first."""
    client = new_client(tokens, "v1")
    client.call("session.counter")
    first, seen = client.session_id, {client.session_id}

    for _ in range(40):
        client.call("session.counter")
        seen.add(client.session_id)

    assert len(seen) == 41
    assert len(client.session_id) <= len(first) + 8
    assert client.call("session.counter").result == 42


def test_row_03_renewed_tokens_do_not_grow(tokens: Cluster) -> None:
    """Nor after 40 renewals, of which there is at most one in a hundredth of the lifetime."""
    client = new_client(tokens, "v1")
    first, seen = client.session_id, [client.session_id]
    began_at = time.monotonic()

    def is_enough() -> bool:
        client.call("session.secret")
        if client.session_id != seen[-1]:
            seen.append(client.session_id)
        return len(seen) == 41

    poll_until(is_enough, 15.0, "40 renewals")

    assert len(set(seen)) == 41
    assert max(map(len, seen)) <= len(first) + 8
    assert time.monotonic() - began_at > 40 * TTL_SECONDS / 100 * 0.9


def test_parallel_calls_of_one_token_all_count(
    tokens: Cluster, in_background: InBackground
) -> None:
    """Sixteen at once, twice each, over two gateways and two workers."""
    client = new_client(tokens, "v1")

    calls = [in_background(code, client) for _ in range(32)]
    wait(calls)

    assert [call.result() for call in calls] == [0] * 32


# -- what is no token


def test_row_07_a_changed_character_is_no_token(tokens: Cluster) -> None:
    """At every place, and never an error of the server's; what one cannot read tells nothing."""
    client = new_client(tokens, "v1")
    token = client.session_id
    step = max(1, len(token) // 60)
    places = [*range(0, len(token) - 1, step), len(token) - 2]

    codes = {place: code(at(client, flipped(token, place))) for place in places}

    assert codes == dict.fromkeys(places, 1004)
    assert code(client) == 0


def flipped(text: str, place: int) -> str:
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


MANGLED: dict[str, Callable[[str], str]] = {
    "cut": lambda t: t[:-1],
    "half": lambda t: t[: len(t) // 2],
    "short": lambda t: t[:5],
    "longer": lambda t: t + "A",
    "padded": lambda t: t + "====",
    "twice": lambda t: t + t,
    "turned": lambda t: t[::-1],
    "moved": lambda t: t[1:] + t[0],
    "upper": lambda t: t.upper(),
    "spaced": lambda t: t[:40] + " " + t[40:],
    "not ASCII": lambda t: t[:40] + "\xe9" + t[41:],
    "nothing": lambda t: "A" * len(t),
    "huge": lambda t: "A" * 12_000,
    "odd base64": lambda t: "A" * 21,
    "legacy": lambda t: "QUFB" * 20 + "=",
}


@pytest.mark.parametrize("mangle", MANGLED.values(), ids=MANGLED.keys())
def test_row_07_garbage_is_no_token(tokens: Cluster, mangle: Callable[[str], str]) -> None:
    """It is as good as none, for methods that need a user and for those that do not."""
    client = new_client(tokens, "v1")
    bad = at(client, mangle(client.session_id))

    assert code(bad) == 1004
    assert code(bad, "session.maybe") == 0
    assert code(bad, "session.anon") == 0


# -- ends


def test_row_13_a_logout_ends_all_tokens_of_the_session(tokens: Cluster) -> None:
    """The last one and those before it, within seconds; other sessions of the user stay."""
    client = new_client(tokens, "v1")
    other = client.again()
    before = at(client, client.session_id)
    client.call("session.counter")
    last = at(client, client.session_id)
    assert last.session_id != before.session_id

    client.call("account.logout")

    assert_ends(before, last)
    assert code(other) == 0


def test_row_13_a_new_password_ends_tokens(tokens: Cluster) -> None:
    """Whoever was in with the old password is out within seconds; the new one lets in."""
    client = new_client(tokens, "v1")
    other = client.again()
    thief = at(other, other.session_id)

    changed = client.call("account.update", password=PASSWORD, new_password="x" * 20).json()

    assert "result" in changed, changed
    assert_ends(thief, other)
    client.password = "x" * 20
    assert code(client.again()) == 0


def test_all_tokens_of_a_user_can_be_ended(tokens: Cluster) -> None:
    """By the application, and only of this user; a login afterwards is not concerned."""
    client, stranger = new_client(tokens, "v1"), new_client(tokens, "v1")
    other = client.again()

    tokens.call("session.clear", {"user_id": client.user_id})

    assert code(client.again()) == 0
    assert_ends(client, other)
    assert code(stranger) == 0


def test_row_12_a_login_ends_the_token_it_came_with(tokens: Cluster) -> None:
    """As it ends any other session."""
    client = new_client(tokens, "v1")
    old = at(client, client.session_id)
    body = JSON.dumps(
        {"method": "account.login", "parameters": {"user_id": old.user_id, "password": PASSWORD}}
    )
    headers = {"Content-Type": "application/json", "x-toto-session-id": old.session_id}

    made: Any = tokens.send(
        "POST", "/", headers | v1_headers(old.key, "POST", "/", body), body
    ).result

    assert made["session_id"] != old.session_id
    assert_ends(old)


# -- keys


def test_rows_02_and_08_keys_rotate_and_tokens_expire(
    tokens: Cluster, make_cluster: MakeCluster, database: Path
) -> None:
    """The first key signs, all are read; a token of an unknown key or over its time is none."""
    rotated = make_cluster(
        workers=1,
        login_attempts_per_address=0,
        sqlite_path=str(database),
        session_cache="client",
        session_keys=f"{NEW_KEY},{OLD_KEY}",
        session_ttl=2,
        hmac_enabled=True,
    )
    client = new_client(tokens, "v1")
    moved = Client(rotated, "v1", client.user_id, PASSWORD, client.session_id, client.key)

    made = moved.again()
    returned = Client(tokens, "v1", client.user_id, PASSWORD, made.session_id, made.key)

    assert code(moved) == 0
    assert code(made) == 0
    assert code(returned) == 1004
    poll_until(lambda: code(made) == 1004, 4.0, "the token expires")
    assert code(client) == 0
