"""Signed requests and answers, as Toto's clients make and check them (section 5, scheme v1)."""

import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.formats import BSON, JSON, MSGPACK, Format
from toto_testkit.http import Response
from toto_testkit.processes import REPOSITORY
from toto_testkit.sessions import (
    UNLIMITED,
    Client,
    hmac_v1,
    new_client,
    response_hmac_v1,
    v1_headers,
)

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

INVALID_HMAC = {"error": {"code": 1008, "value": "Invalid HMAC"}}
CALL = b'{"method": "session.secret", "parameters": {"a": [1, 2]}}'
VECTORS = json.loads((REPOSITORY / "docs" / "signing-vectors.json").read_text())


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that wants signatures of scheme v1, which is the default."""
    directory = tmp_path_factory.mktemp("signed")
    options = {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "threads": 4,
        "hmac_enabled": True,
        "bson_enabled": True,
    }
    with Cluster(directory, workers=1, options=options) as started:
        yield started


def assert_signed(response: Response, client: Client) -> None:
    """Check an answer as a client does, with the session it had from it."""
    expected = response_hmac_v1(client.key, client.session_id, response.body)
    assert response.headers["x-toto-hmac"] == expected


def post(client: Client, body: bytes, signature: str | None, uri: str = "/") -> Response:
    headers = {"Content-Type": "application/json", "x-toto-session-id": client.session_id}
    if signature is not None:
        headers["x-toto-hmac"] = signature
    return client.cluster.send("POST", uri, headers, body)


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if v["scheme"] == "v1"], ids=lambda v: v["name"]
)
def test_the_published_examples_are_what_these_tests_sign(vector: dict[str, Any]) -> None:
    """The page for client authors and the clients of this suite agree byte for byte."""
    body = b64decode(vector["body_base64"])
    answer = b64decode(vector["response_body_base64"])
    key, session_id = vector["key"], vector["session_id"]

    assert hmac_v1(key, vector["verb"], vector["uri"], body) == vector["request_hmac"]
    assert response_hmac_v1(key, session_id, answer) == vector["response_hmac"]


# -- what is accepted


def test_accounts_are_made_and_opened_without_a_signature(signed: Cluster) -> None:
    """Who has no key yet gets it from create and login; the new key signs these answers."""
    client = Client(signed, "v1")

    assert_signed(client.create(), client)
    first_key = client.key
    other = Client(signed, "v1", client.user_id)
    assert_signed(other.login(), other)
    assert other.key != first_key


def test_a_signed_call_is_answered_with_a_signature(signed: Cluster) -> None:
    """Both sides prove that they know the session's key."""
    client = new_client(signed, "v1")

    response = client.call("session.secret")

    assert response.result == f"for {client.user_id}"
    assert_signed(response, client)


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
@pytest.mark.parametrize("method", ["session.secret", "session.fails", "session.raw"])
def test_every_answer_with_a_session_is_signed(
    signed: Cluster, body_format: Format, method: str
) -> None:
    """Results, errors and raw bytes, in each format: the very bytes of the body count."""
    client = new_client(signed, "v1")

    response = client.post({"method": method, "parameters": {}}, body_format=body_format)

    assert client.user_id.encode() in response.body
    assert_signed(response, client)


@pytest.mark.parametrize("method", ["echo", "session.peek", "session.leave"])
def test_an_answer_without_a_session_is_not_signed(signed: Cluster, method: str) -> None:
    """There is no key to sign it with."""
    response = new_client(signed, "v1").call(method)

    assert "result" in response.json()
    assert "x-toto-hmac" not in response.headers


@pytest.mark.parametrize(
    "uri",
    [
        "/session/secret",
        "/session/secret?a=1&a=2&empty=",
        "/session/secret?q=%C3%BC%20%2F+x&b",
        "/session/secret?",
        "/session/secret?%41=%zz",
    ],
)
def test_the_uri_counts_as_it_was_sent(signed: Cluster, uri: str) -> None:
    """Path and query are signed byte for byte, neither decoded nor sorted; GET and POST alike."""
    client = new_client(signed, "v1")

    got = client.send("GET", uri)
    posted = client.send("POST", uri, b"{}", "application/json")

    assert got.result == posted.result == f"for {client.user_id}"
    assert_signed(got, client)
    assert_signed(posted, client)


def test_a_head_call_is_signed_over_no_body(signed: Cluster) -> None:
    """The verb is HEAD, and the answer's signature is over the session id alone."""
    client = new_client(signed, "v1")

    right = client.send("HEAD", "/session/secret")
    as_get = signed.send(
        "HEAD",
        "/session/secret",
        {"x-toto-session-id": client.session_id}
        | v1_headers(client.key, "GET", "/session/secret", b""),
    )

    assert (right.status, right.body) == (200, b"")
    assert_signed(right, client)
    assert "x-toto-hmac" not in as_get.headers


@pytest.mark.parametrize(
    "body",
    [
        b'  {"method":"session.secret" , "parameters":{}}\n',
        b'{"method": "session.secret", "parameters": {"text": "\\u00fc \xc3\xbc"}}',
        b'{"parameters": {}, "method": "session.secret"}',
    ],
)
def test_the_body_counts_as_it_was_sent(signed: Cluster, body: bytes) -> None:
    """Spaces, escapes and the order of fields are the client's; nothing is written anew."""
    client = new_client(signed, "v1")

    response = client.send("POST", "/", body, "application/json")

    assert response.result == f"for {client.user_id}"


def test_strangers_need_no_signature(signed: Cluster) -> None:
    """What needs no user runs unsigned; anonymous sessions too, as users' sessions are signed."""
    assert signed.call("session.maybe").json() == {"result": None}
    first = signed.call("session.anon").result
    again = signed.call("session.anon", headers={"x-toto-session-id": first["session_id"]})

    assert again.result == {**first, "count": 2}


def test_the_parameters_session_is_the_one_that_signs(signed: Cluster) -> None:
    """A session id among the parameters needs its own key, as one in the header does."""
    client, other = new_client(signed, "v1"), new_client(signed, "v1")
    call = {"method": "session.by_parameter", "parameters": {"session_id": client.session_id}}
    body = JSON.dumps(call)
    headers = {"Content-Type": "application/json"}

    right = signed.send("POST", "/", headers | v1_headers(client.key, "POST", "/", body), body)
    wrong = signed.send("POST", "/", headers | v1_headers(other.key, "POST", "/", body), body)
    bare = signed.send("POST", "/", headers, body)

    assert right.result["user_id"] == client.user_id
    assert wrong.json() == INVALID_HMAC
    assert bare.json() == INVALID_HMAC


def test_an_undecorated_method_that_never_asks_runs(signed: Cluster) -> None:
    """A wrong signature is no reason to refuse a call that has nothing to do with users."""
    client = new_client(signed, "v1")
    body = b'{"method": "echo", "parameters": {"a": 1}}'

    response = post(client, body, "AAAA")

    assert response.json() == {"result": {"a": 1}}


# -- what is refused

WRONG: dict[str, Callable[[Client], str | None]] = {
    "none": lambda c: None,
    "empty": lambda c: "",
    "no base64": lambda c: "!!!",
    "not ASCII": lambda c: "\xe9" * 28,
    "long": lambda c: "A" * 4000,
    "random": lambda c: b64encode(secrets.token_bytes(20)).decode(),
    "zero": lambda c: b64encode(bytes(20)).decode(),
    "other key": lambda c: hmac_v1(c.again().key, "POST", "/", CALL),
    "user id as the key": lambda c: hmac_v1(c.user_id, "POST", "/", CALL),
    "empty key": lambda c: hmac_v1("", "POST", "/", CALL),
    "session id as the key": lambda c: hmac_v1(c.session_id, "POST", "/", CALL),
    "other verb": lambda c: hmac_v1(c.key, "GET", "/", CALL),
    "other path": lambda c: hmac_v1(c.key, "POST", "/x", CALL),
    "other query": lambda c: hmac_v1(c.key, "POST", "/?a=1", CALL),
    "other body": lambda c: hmac_v1(c.key, "POST", "/", CALL.replace(b"1", b"2", 1)),
    "body written anew": lambda c: hmac_v1(c.key, "POST", "/", JSON.dumps(json.loads(CALL)) + b" "),
    "body alone": lambda c: hmac_v1(c.key, "", "", CALL),
    "as an answer": lambda c: response_hmac_v1(c.key, c.session_id, CALL),
    "cut": lambda c: hmac_v1(c.key, "POST", "/", CALL).rstrip("="),
    "half": lambda c: hmac_v1(c.key, "POST", "/", CALL)[:14],
    "twice": lambda c: ", ".join([hmac_v1(c.key, "POST", "/", CALL)] * 2),
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_signature_is_refused(
    signed: Cluster, make: Callable[[Client], str | None]
) -> None:
    """Error 1008 and nothing else: neither session nor signature."""
    client = new_client(signed, "v1")

    response = post(client, CALL, make(client))

    assert response.status == 200
    assert response.json() == INVALID_HMAC
    assert "x-toto-hmac" not in response.headers
    assert client.call("session.secret").result == f"for {client.user_id}"


def test_the_suites_own_signature_is_right(signed: Cluster) -> None:
    """What the table of wrong ones changes is accepted when it is not changed."""
    client = new_client(signed, "v1")

    assert "result" in post(client, CALL, hmac_v1(client.key, "POST", "/", CALL)).json()


@pytest.mark.parametrize(
    "method",
    [
        "session.whoami",
        "session.maybe",
        "session.async_secret",
        "session.anon",
        "session.stream",
        "session.raw",
        "session.counter",
        "account.update",
    ],
)
@pytest.mark.parametrize("signature", [None, "AAAA"])
def test_every_method_that_asks_is_refused(
    signed: Cluster, method: str, signature: str | None
) -> None:
    """However a method would get the session, a wrong signature is 1008 and not a stranger."""
    client = new_client(signed, "v1")

    response = post(client, JSON.dumps({"method": method, "parameters": {}}), signature)

    assert response.json() == INVALID_HMAC
    assert client.call("session.recall").result == {}


def test_a_changed_query_is_refused(signed: Cluster) -> None:
    """A GET whose parameters somebody changed on the way does not run."""
    client = new_client(signed, "v1")
    signature = v1_headers(client.key, "GET", "/session/remember?name=a&value=1", b"")

    changed = signed.get(
        "/session/remember?name=a&value=2",
        {"x-toto-session-id": client.session_id} | signature,
    )

    assert changed.json() == INVALID_HMAC
    assert client.call("session.recall").result == {}


def test_an_unknown_session_is_told_from_no_wrong_signature(signed: Cluster) -> None:
    """Whether an id exists is not told by the kind of error a stranger gets without the id."""
    headers = {"x-toto-session-id": "A" * 22, "x-toto-hmac": "AAAA"}

    refused = signed.call("session.secret", headers=headers)

    assert refused.body == signed.call("session.secret").body


@pytest.mark.parametrize("signature", [None, "AAAA"])
def test_a_login_ends_only_a_session_whose_key_it_knows(
    signed: Cluster, signature: str | None
) -> None:
    """Who knows an id but not its key is let in by the password, and ends nothing."""
    victim, thief = new_client(signed, "v1"), new_client(signed, "v1")
    parameters = {"user_id": thief.user_id, "password": thief.password}
    body = JSON.dumps({"method": "account.login", "parameters": parameters})

    post(victim, body, signature)

    assert victim.call("session.secret").result == f"for {victim.user_id}"


def test_a_signed_login_ends_the_session_it_came_with(signed: Cluster) -> None:
    """The new session has another key; the old pair is worth nothing."""
    client = new_client(signed, "v1")
    old = Client(signed, "v1", client.user_id, client.password, client.session_id, client.key)

    answer = client.call("account.login", user_id=client.user_id, password=client.password)

    assert answer.result["key"] != old.key
    assert old.call("session.secret").error["code"] == 1004


def test_a_signed_logout_ends_the_session(signed: Cluster) -> None:
    """Not so one with a wrong signature: nobody logs others out."""
    client = new_client(signed, "v1")

    forged = post(client, b'{"method": "account.logout", "parameters": {}}', "AAAA")
    stays = client.call("session.secret")
    client.call("account.logout")

    assert forged.json() == INVALID_HMAC
    assert stays.result == f"for {client.user_id}"
    assert client.call("session.secret").error["code"] == 1004
