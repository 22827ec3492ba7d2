"""The session in a cookie (section 5, row 15), and garbage as a credential of every kind."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toto_testkit.cluster import Cluster, member
from toto_testkit.formats import JSON
from toto_testkit.http import RawConnection, Response
from toto_testkit.sessions import PASSWORD, UNLIMITED, Browser, Cookie, new_user_id, set_cookie

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

NOT_AUTHORIZED = {"error": {"code": 1004, "value": "Not authorized"}}


@pytest.fixture(scope="module")
def cookies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Signed, secure cookies for the host that sets them; no page of another origin may call."""
    directory = tmp_path_factory.mktemp("cookies")
    options = {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "threads": 4,
        "use_cookies": True,
        "cookie_secret": "a secret that signs cookies, 32+",
        "session_ttl": 100_000,
    }
    with Cluster(directory, workers=1, options=options) as started:
        yield started


def cookie_of(response: Response) -> Cookie:
    cookie = set_cookie(response)
    assert cookie is not None, response
    return cookie


def test_row_15_a_login_sets_a_cookie_that_scripts_cannot_read(cookies: Cluster) -> None:
    """HttpOnly, Secure, SameSite=Lax, for all paths of this host alone, as long as the session."""
    browser = Browser(cookies)
    user_id = new_user_id()

    response = browser.call("account.create", {"user_id": user_id, "password": PASSWORD})

    cookie = cookie_of(response)
    assert cookie.name in ("toto-session-id", "__Host-toto-session-id")
    assert {"httponly", "secure"} <= cookie.attributes.keys()
    assert cookie.attributes["samesite"].lower() == "lax"
    assert cookie.attributes["path"] == "/"
    assert "domain" not in cookie.attributes
    assert {"max-age", "expires"} & cookie.attributes.keys()
    if "max-age" in cookie.attributes:
        assert abs(int(cookie.attributes["max-age"]) - 100_000) < 1100
    assert len(cookie.value) < 4000


def test_the_cookie_is_the_credential(cookies: Cluster) -> None:
    """A page that never sees the session id calls as its user, and keeps state."""
    browser = Browser(cookies)
    user_id = browser.create()

    answer = browser.call("session.secret").json()
    counts = [browser.call("session.counter").result for _ in range(3)]

    assert answer["result"] == f"for {user_id}"
    assert answer["session"]["user_id"] == user_id
    assert counts == [1, 2, 3]


def test_an_anonymous_session_has_a_cookie_too(cookies: Cluster) -> None:
    """A stranger's page is known again."""
    browser = Browser(cookies)

    assert [browser.call("session.anon").result["count"] for _ in range(3)] == [1, 2, 3]


def test_a_batch_has_the_cookies_session(cookies: Cluster) -> None:
    """And a login in a batch sets the cookie."""
    browser, other = Browser(cookies), Browser(cookies)
    user_id = browser.create()
    enter = member("account.login", user_id=user_id, password=PASSWORD)
    headers = {"Content-Type": "application/json", **browser.origin_headers}

    body = JSON.dumps({"batch": {"a": member("session.secret")}})
    answer = browser.send("POST", "/", body, headers).json()
    other.send("POST", "/", JSON.dumps({"batch": {"a": enter}}), headers)

    assert answer["batch"] == {"a": {"result": f"for {user_id}"}}
    assert answer["session"]["user_id"] == user_id
    assert other.call("session.secret").result == f"for {user_id}"


def test_the_header_is_a_credential_too(cookies: Cluster) -> None:
    """Clients that are no browsers send it, and it counts before the cookie."""
    browser, other = Browser(cookies), Browser(cookies)
    browser.create()
    other_id = new_user_id()
    made = other.call("account.create", {"user_id": other_id, "password": PASSWORD}).result
    headers = {"x-toto-session-id": made["session_id"]}

    assert Browser(cookies).call("session.secret", headers=headers).result == f"for {other_id}"
    assert browser.call("session.secret", headers=headers).result == f"for {other_id}"


def test_calls_without_a_session_set_no_cookie(cookies: Cluster) -> None:
    """Nor do failed logins and refused calls."""
    browser = Browser(cookies)
    login = {"user_id": new_user_id(), "password": "wrong"}

    responses = [
        browser.call("echo"),
        browser.call("session.secret"),
        browser.call("account.login", login),
    ]

    assert [set_cookie(response) for response in responses] == [None] * 3


def test_row_12_a_login_ends_the_cookies_session(cookies: Cluster) -> None:
    """The cookie that was there before is worth nothing, and is replaced."""
    browser = Browser(cookies)
    user_id = browser.create()
    before = Browser(cookies, dict(browser.cookies))

    browser.call("account.login", {"user_id": user_id, "password": PASSWORD})

    assert browser.cookies != before.cookies
    assert browser.call("session.secret").result == f"for {user_id}"
    assert before.call("session.secret").json() == NOT_AUTHORIZED


def test_a_logout_ends_the_cookies_session(cookies: Cluster) -> None:
    """For the browser, and for whoever has copied the cookie."""
    browser = Browser(cookies)
    browser.create()
    thief = Browser(cookies, dict(browser.cookies))

    response = browser.call("account.logout")

    assert response.result == {"authenticated": False}
    assert browser.call("session.secret").json() == NOT_AUTHORIZED
    assert thief.call("session.secret").json() == NOT_AUTHORIZED


def test_the_cookie_is_signed(cookies: Cluster) -> None:
    """With ``cookie_secret`` a bare or changed session id is no credential, even a right one."""
    browser = Browser(cookies)
    user_id = new_user_id()
    made = browser.call("account.create", {"user_id": user_id, "password": PASSWORD})
    cookie = cookie_of(made)
    session_id = made.result["session_id"]
    changed = cookie.value[:-1] + ("0" if cookie.value[-1] != "0" else "1")

    for value in (session_id, f'"{session_id}"', changed, cookie.value + "x", ""):
        forger = Browser(cookies, {cookie.name: value})
        assert forger.call("session.secret").json() == NOT_AUTHORIZED
    assert browser.call("session.secret").result == f"for {user_id}"


def test_a_session_in_use_is_not_renewed_with_every_call(cookies: Cluster) -> None:
    """At most once in a hundredth of its lifetime: until then its end and its cookie stay."""
    browser = Browser(cookies)
    browser.create()
    before = dict(browser.cookies)

    ends = {browser.call("session.secret").json()["session"]["expires"] for _ in range(5)}

    assert len(ends) == 1
    assert browser.cookies == before


# -- garbage

LATIN = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FEW = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def assert_no_server_error(cluster: Cluster, headers: dict[str, str], call: Any) -> None:
    """Send a request whose values are garbage: it may be refused, and nothing may break."""
    body = json.dumps(call).encode()
    given = {"Host": f"127.0.0.1:{cluster.port}", "Content-Type": "application/json", **headers}
    with RawConnection(cluster.port) as connection:
        connection.request("POST", "/", given, body)
        response = connection.read_response()
    assert response.status < 500
    if response.content_type == "application/json":
        assert response.json().get("error", {}).get("code") != 1000


@given(credential=LATIN)
@FEW
def test_any_header_is_a_credential_or_none(cookies: Cluster, credential: str) -> None:
    """Whatever stands in ``x-toto-session-id`` is no error of the server's."""
    headers = {"x-toto-session-id": credential, "x-toto-hmac": credential}

    assert_no_server_error(cookies, headers, {"method": "session.secret", "parameters": {}})
    assert_no_server_error(cookies, headers, {"method": "session.anon", "parameters": {}})


@given(value=LATIN, name=st.sampled_from(["toto-session-id", "__Host-toto-session-id", "x"]))
@FEW
def test_any_cookie_is_a_credential_or_none(cookies: Cluster, value: str, name: str) -> None:
    """Whatever stands in the cookies is no error of the server's."""
    origin = {"Origin": f"http://127.0.0.1:{cookies.port}", "Sec-Fetch-Site": "same-origin"}
    headers = {"Cookie": f"{name}={value}; {name}={value[::-1]}", **origin}

    assert_no_server_error(cookies, headers, {"method": "session.secret", "parameters": {}})
    assert_no_server_error(cookies, headers, {"method": "session.anon", "parameters": {}})


@given(value=JSON_VALUES, other=JSON_VALUES)
@FEW
def test_any_parameter_is_a_credential_or_none(cookies: Cluster, value: Any, other: Any) -> None:
    """Whatever is sent as session id, user id or password is no error of the server's."""
    origin = {"Origin": f"http://127.0.0.1:{cookies.port}", "Sec-Fetch-Site": "same-origin"}
    account = {"user_id": value, "password": other}
    calls = [
        {"method": "session.by_parameter", "parameters": {"session_id": value}},
        {"method": "session.by_parameter", "parameters": value},
        {"method": "account.login", "parameters": account},
        {"method": "account.login", "parameters": value},
        {"method": "account.create", "parameters": {**account, "password": value}},
    ]

    for call in calls:
        assert_no_server_error(cookies, origin, call)
