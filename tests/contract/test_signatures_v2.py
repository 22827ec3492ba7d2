"""Signed requests that cannot be replayed (section 5, scheme v2), with ``error_status = http``."""

import hashlib
import json
import secrets
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.fixtures import InBackground
from toto_testkit.http import Response
from toto_testkit.processes import REPOSITORY
from toto_testkit.sessions import (
    UNLIMITED,
    V2,
    Client,
    hmac_v1,
    hmac_v2,
    new_client,
    new_user_id,
    response_hmac_v2,
)

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

CALL = b'{"method": "session.counter", "parameters": {}}'
TYPE = "application/json"
VECTORS = json.loads((REPOSITORY / "docs" / "signing-vectors.json").read_text())


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that wants signatures of scheme v2 and tells errors by the status."""
    directory = tmp_path_factory.mktemp("strict")
    options = {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "threads": 4,
        "hmac_enabled": True,
        "hmac_scheme": "v2",
        "error_status": "http",
    }
    with Cluster(directory, workers=1, options=options) as started:
        yield started


def signed_headers(client: Client, v2: V2, verb: str = "POST", uri: str = "/") -> dict[str, str]:
    """Return all headers of a request of CALL."""
    return {
        "Content-Type": TYPE,
        "x-toto-session-id": client.session_id,
        **v2.headers(client.key, verb, uri, CALL, TYPE),
    }


def assert_refused(response: Response) -> None:
    """Check that a request was refused for its signature."""
    assert response.status == 401
    assert response.error["code"] == 1008
    assert "session" not in response.json()
    assert "x-toto-hmac" not in response.headers


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if v["scheme"] == "v2"], ids=lambda v: v["name"]
)
def test_the_published_examples_are_what_these_tests_sign(vector: dict[str, Any]) -> None:
    """The page for client authors and the clients of this suite agree byte for byte."""
    names = ("nonce", "verb", "uri", "content_type")
    fields = [str(vector["timestamp"]).encode(), *(vector[name].encode() for name in names)]
    digest = hashlib.sha256(b64decode(vector["body_base64"])).digest()
    answer = b64decode(vector["response_body_base64"])
    key, nonce, session_id = vector["key"], vector["nonce"], vector["session_id"]

    assert hmac_v2(key, *fields, digest) == vector["request_hmac"]
    assert response_hmac_v2(key, nonce, session_id, answer) == vector["response_hmac"]


def test_a_signed_call_is_answered_with_a_signature(strict: Cluster) -> None:
    """The answer's signature is over the request's nonce too, so it fits no other request."""
    client, v2 = new_client(strict, "v2"), V2()

    response = strict.send("POST", "/", signed_headers(client, v2), CALL)

    assert (response.status, response.result) == (200, 1)
    expected = response_hmac_v2(client.key, v2.nonce, client.session_id, response.body)
    assert response.headers["x-toto-hmac"] == expected


def test_calls_of_every_kind_are_signed(strict: Cluster) -> None:
    """POST, GET with a query, HEAD, errors and streams."""
    client = new_client(strict, "v2")

    assert client.call("session.secret").result == f"for {client.user_id}"
    assert client.send("GET", "/session/secret?q=%C3%BC&q=2").result == f"for {client.user_id}"
    assert client.send("HEAD", "/session/secret").status == 200
    assert client.call("session.fails").error["code"] == 4242
    assert b'"end"' in client.call("session.stream").body


def test_a_batch_is_signed_once(strict: Cluster) -> None:
    """One nonce is enough for all members, and its second use refuses all of them."""
    client, v2 = new_client(strict, "v2"), V2()
    members = {"a": member("session.secret"), "b": member("session.secret")}
    body = json.dumps({"batch": members}).encode()
    headers = {
        "Content-Type": TYPE,
        "x-toto-session-id": client.session_id,
        **v2.headers(client.key, "POST", "/", body, TYPE),
    }

    first = strict.send("POST", "/", headers, body).json()
    second = strict.send("POST", "/", headers, body).json()

    assert first["batch"] == {key: {"result": f"for {client.user_id}"} for key in members}
    assert first["session"]["user_id"] == client.user_id
    assert {entry["error"]["code"] for entry in second["batch"].values()} == {1008}
    assert "session" not in second


def test_row_09_a_replay_is_refused(strict: Cluster) -> None:
    """The very bytes of a request count once."""
    client = new_client(strict, "v2")
    headers = signed_headers(client, V2())

    first = strict.send("POST", "/", headers, CALL)
    replays = [strict.send("POST", "/", headers, CALL) for _ in range(3)]

    assert first.result == 1
    for replay in replays:
        assert_refused(replay)
    assert client.call("session.counter").result == 2


def test_of_replays_at_once_one_runs(strict: Cluster, in_background: InBackground) -> None:
    """To remember a nonce and to look it up is one step."""
    client = new_client(strict, "v2")
    headers = signed_headers(client, V2())

    calls = [in_background(strict.send, "POST", "/", headers, CALL) for _ in range(8)]
    wait(calls)

    assert sorted(call.result().status for call in calls) == [200] + [401] * 7
    assert client.call("session.counter").result == 2


def test_a_nonce_counts_once_whatever_it_signs(strict: Cluster) -> None:
    """Another request under a used nonce is refused, though its signature is right."""
    client, nonce = new_client(strict, "v2"), secrets.token_urlsafe(16)

    first = strict.send("POST", "/", signed_headers(client, V2(0, nonce)), CALL)
    second = strict.send("POST", "/", signed_headers(client, V2(1, nonce)), CALL)

    assert first.result == 1
    assert_refused(second)


def test_nonces_of_two_sessions_do_not_meet(strict: Cluster) -> None:
    """Nobody can use up another's nonces."""
    client, other, nonce = new_client(strict, "v2"), new_client(strict, "v2"), "n" * 22

    assert strict.send("POST", "/", signed_headers(client, V2(0, nonce)), CALL).result == 1
    assert strict.send("POST", "/", signed_headers(other, V2(0, nonce)), CALL).result == 1


def test_a_forged_request_uses_no_nonce_up(strict: Cluster) -> None:
    """Only who knows the key can use a nonce; else anybody could refuse a request in advance."""
    client, v2 = new_client(strict, "v2"), V2()
    headers = signed_headers(client, v2)

    assert_refused(strict.send("POST", "/", headers | {"x-toto-hmac": "A" * 44}, CALL))

    assert strict.send("POST", "/", headers, CALL).result == 1


@pytest.mark.parametrize("offset_seconds", [-1000, -310, 310, 86400])
def test_row_09_an_old_request_is_refused_with_the_offset(
    strict: Cluster, offset_seconds: int
) -> None:
    """Over five minutes off either way is refused; the error tells by how much to correct."""
    client = new_client(strict, "v2")

    response = strict.send("POST", "/", signed_headers(client, V2(offset_seconds)), CALL)

    assert_refused(response)
    assert abs(response.error["clock_offset_seconds"] - offset_seconds) <= 3


@pytest.mark.parametrize("offset_seconds", [-280, 280])
def test_a_clock_a_few_minutes_off_will_do(strict: Cluster, offset_seconds: int) -> None:
    """Within the window the offset does not matter."""
    client = new_client(strict, "v2")

    assert strict.send("POST", "/", signed_headers(client, V2(offset_seconds)), CALL).result == 1


def test_the_offset_is_for_holders_of_the_key(strict: Cluster) -> None:
    """A wrong signature at a wrong time learns no clock."""
    client = new_client(strict, "v2")
    headers = signed_headers(client, V2(-1000)) | {"x-toto-hmac": "A" * 44}

    response = strict.send("POST", "/", headers, CALL)

    assert_refused(response)
    assert "clock_offset_seconds" not in response.error


@pytest.mark.parametrize(
    "change",
    [
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "text/plain"},
        {"x-toto-timestamp": "1760000000"},
        {"x-toto-timestamp": ""},
        {"x-toto-timestamp": "now"},
        {"x-toto-timestamp": "-1"},
        {"x-toto-timestamp": "9" * 400},
        {"x-toto-timestamp": "nan"},
        {"x-toto-nonce": "n" * 22},
        {"x-toto-nonce": ""},
        {"x-toto-nonce": "\xe9"},
        {"x-toto-nonce": "n" * 3000},
        {"x-toto-hmac": ""},
        {"x-toto-hmac": "\xe9" * 44},
    ],
    ids=str,
)
def test_row_09_a_changed_header_is_refused(strict: Cluster, change: dict[str, str]) -> None:
    """Content type, timestamp, nonce and signature belong together; garbage is no server error."""
    client = new_client(strict, "v2")
    headers = signed_headers(client, V2())

    response = strict.send("POST", "/", headers | change, CALL)

    if change == {"Content-Type": "text/plain"}:
        assert response.status in (401, 415)
    else:
        assert_refused(response)
    assert strict.send("POST", "/", headers, CALL).result == 1


@pytest.mark.parametrize("name", ["x-toto-timestamp", "x-toto-nonce", "x-toto-hmac"])
def test_a_missing_header_is_refused(strict: Cluster, name: str) -> None:
    """All three are needed."""
    client = new_client(strict, "v2")
    headers = signed_headers(client, V2())
    del headers[name]

    assert_refused(strict.send("POST", "/", headers, CALL))


def test_row_09_a_changed_request_is_refused(strict: Cluster) -> None:
    """Verb, uri and body are signed too."""
    client = new_client(strict, "v2")

    refused = [
        strict.send("POST", "/?a=1", signed_headers(client, V2()), CALL),
        strict.send("POST", "/", signed_headers(client, V2(), verb="GET"), CALL),
        strict.send("POST", "/", signed_headers(client, V2()), CALL + b" "),
    ]

    for response in refused:
        assert_refused(response)


def test_the_older_scheme_is_no_way_around(strict: Cluster) -> None:
    """Where v2 is asked for, a right signature of v1 is a wrong one."""
    client = new_client(strict, "v2")
    headers = {"Content-Type": TYPE, "x-toto-session-id": client.session_id}
    signature = {"x-toto-hmac": hmac_v1(client.key, "POST", "/", CALL)}

    assert_refused(strict.send("POST", "/", headers | signature, CALL))
    assert_refused(strict.send("POST", "/", signed_headers(client, V2()) | signature, CALL))


def test_errors_about_credentials_have_their_status(strict: Cluster) -> None:
    """With ``error_status = http``: 1004, 1005 and 1008 are 401, 1006 is 409, 1010 is 400."""
    client = new_client(strict, "v2")
    account = {"user_id": client.user_id, "password": "wrong"}

    answers = {
        1004: (strict.call("session.secret"), 401),
        1005: (strict.call("account.login", account), 401),
        1006: (strict.call("account.create", account), 409),
        1007: (strict.call("fail", {"code": 1007, "value": "ended"}), 401),
        1010: (strict.call("account.create", {**account, "user_id": "a\n"}), 400),
        1003: (strict.call("account.create", {"user_id": new_user_id()}), 400),
    }

    assert {answer.error["code"]: answer.status for answer, _ in answers.values()} == {
        code: status for code, (_, status) in answers.items()
    }
