"""With cookies, only pages that may can make a browser call (rows 16 and 17)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.formats import BSON, JSON, MSGPACK, Format, toml_text
from toto_testkit.http import Response
from toto_testkit.processes import command_path, run_to_end
from toto_testkit.sessions import PASSWORD, UNLIMITED, Browser, set_cookie

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

FRIEND = "https://app.example"
STRANGER = "https://evil.example"
CALL = b'{"method": "session.counter", "parameters": {}}'
JSON_TYPE = {"Content-Type": "application/json"}
NewBrowser = Callable[[], Browser]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Cookies of a domain, over plain HTTP for development; pages of two origins may call."""
    directory = tmp_path_factory.mktemp("guarded")
    options = {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "threads": 4,
        "use_cookies": True,
        "secure_cookies": False,
        "cookie_domain": "app.example",
        "allow_origin": f"{FRIEND}, https://other.example",
        "bson_enabled": True,
    }
    with Cluster(directory, workers=1, options=options) as started:
        yield started


@pytest.fixture
def browser(guarded: Cluster) -> Browser:
    """A browser with the cookie of a logged-in user, who has called ``session.counter`` once."""
    made = Browser(guarded)
    made.create()
    assert made.call("session.counter").result == 1
    return made


def assert_refused(browser: Browser, response: Response) -> None:
    """Check that the method did not run."""
    assert 400 <= response.status < 500, response
    assert b'"result"' not in response.body
    assert set_cookie(response) is None
    assert browser.call("session.counter").result == 2


def test_the_options_of_the_cookie_are_followed(guarded: Cluster) -> None:
    """A domain when one is named; without Secure for development; the rest stays."""
    browser = Browser(guarded)
    response = browser.call("session.anon")

    cookie = set_cookie(response)

    assert cookie is not None
    assert cookie.name == "toto-session-id"
    assert "secure" not in cookie.attributes
    assert "httponly" in cookie.attributes
    assert cookie.attributes["domain"].lstrip(".") == "app.example"
    assert cookie.attributes["samesite"].lower() == "lax"


# -- row 16


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
def test_a_page_of_the_same_origin_may_call(browser: Browser, body_format: Format) -> None:
    """In every format that a form cannot make."""
    body = body_format.dumps({"method": "session.counter", "parameters": {}})
    headers = {"Content-Type": body_format.content_type, **browser.origin_headers}

    response = browser.send("POST", "/", body, headers)

    assert body_format.loads(response.body)["result"] == 2


@pytest.mark.parametrize("origin", [FRIEND, "https://other.example"])
def test_a_page_of_an_allowed_origin_may_call(browser: Browser, origin: str) -> None:
    """Which the option names; the browser is told so, credentials included."""
    headers = {**JSON_TYPE, "Origin": origin, "Sec-Fetch-Site": "same-site"}

    response = browser.send("POST", "/", CALL, headers)

    assert response.result == 2
    assert response.headers["access-control-allow-origin"] == origin
    assert response.headers["access-control-allow-credentials"] == "true"
    assert "origin" in response.headers["vary"].lower()


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
@pytest.mark.parametrize("uri", ["/session/counter", "/session/counter?a=1", "/echo"])
def test_row_16_only_post_calls(browser: Browser, verb: str, uri: str) -> None:
    """A link or an image cannot act: other verbs are 405, from whatever page."""
    response = browser.send(verb, uri, None, browser.origin_headers)

    assert_refused(browser, response)
    assert response.status == 405
    assert "POST" in response.headers["allow"]


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "application/jsonx",
    ],
)
def test_row_16_the_content_type_must_say_what_no_form_says(
    browser: Browser, content_type: str | None
) -> None:
    """A missing type is not taken for JSON, and types of forms are not taken at all."""
    headers = dict(browser.origin_headers)
    if content_type is not None:
        headers["Content-Type"] = content_type

    by_body = browser.send("POST", "/", CALL, headers)

    assert_refused(browser, by_body)
    by_url = browser.send("POST", "/session/counter", b"a=1", headers)
    assert 400 <= by_url.status < 500
    assert browser.call("session.counter").result == 3


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": STRANGER, "Sec-Fetch-Site": "cross-site"},
        {"Origin": STRANGER},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://app.example.evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://app.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://app.example:444"},
        {"Origin": "https://sub.app.example", "Sec-Fetch-Site": "same-site"},
        {"Origin": f"{STRANGER}, {FRIEND}"},
        {"Origin": "https://"},
        {"Origin": "https://APP.EXAMPLE@evil.example"},
        {"Referer": f"{FRIEND}/", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_row_16_pages_of_other_origins_do_not_call(
    browser: Browser, headers: dict[str, str]
) -> None:
    """Whatever they send with the user's cookie."""
    response = browser.send("POST", "/", CALL, {**JSON_TYPE, **headers})

    assert_refused(browser, response)
    assert response.headers.get("access-control-allow-origin") in (None, FRIEND)


def test_row_16_a_port_of_the_same_host_is_another_origin(browser: Browser) -> None:
    """The whole origin counts, not only the host."""
    headers = {**JSON_TYPE, "Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}

    assert_refused(browser, browser.send("POST", "/", CALL, headers))


def test_row_16_a_login_is_guarded_too(guarded: Cluster, browser: Browser) -> None:
    """No page logs a visitor in as somebody else (login CSRF)."""
    user_id = Browser(guarded).create()
    victim = Browser(guarded)
    login = {"method": "account.login", "parameters": {"user_id": user_id, "password": PASSWORD}}
    headers = {"Origin": STRANGER, "Sec-Fetch-Site": "cross-site"}

    for content_type in (JSON_TYPE, {"Content-Type": "text/plain"}, {}):
        response = victim.send("POST", "/", JSON.dumps(login), {**headers, **content_type})
        assert 400 <= response.status < 500
        assert set_cookie(response) is None
    assert victim.cookies == {}


def test_row_16_a_batch_is_guarded_too(browser: Browser) -> None:
    """Many calls in one request are no way around."""
    body = b'{"batch": {"a": %s}}' % CALL
    headers = {"Origin": STRANGER, "Sec-Fetch-Site": "cross-site"}

    assert_refused(browser, browser.send("POST", "/", body, {**JSON_TYPE, **headers}))


def test_a_refusal_is_a_request_that_can_be_read(browser: Browser) -> None:
    """It is an error envelope with a code, so that a developer learns what was wrong."""
    response = browser.send("POST", "/", CALL, {**JSON_TYPE, "Origin": STRANGER})

    assert isinstance(response.error["code"], int)
    assert response.error["code"] != 1000
    assert response.error["value"]


# -- row 17


@pytest.mark.parametrize("origin", [FRIEND, "https://other.example"])
def test_row_17_a_preflight_allows_the_named_origins(guarded: Cluster, origin: str) -> None:
    """Each gets itself back, never a star; caches keep the answers apart."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, x-evil",
    }

    response = guarded.send("OPTIONS", "/", headers)

    assert response.status in (200, 204)
    assert response.headers["access-control-allow-origin"] == origin
    assert response.headers["access-control-allow-credentials"] == "true"
    assert "origin" in response.headers["vary"].lower()
    allowed = response.headers["access-control-allow-headers"].lower()
    assert "content-type" in allowed
    assert "x-toto-hmac" in allowed
    assert "x-evil" not in allowed


@pytest.mark.parametrize("origin", [STRANGER, "null", "https://app.example.evil.example"])
def test_row_17_a_preflight_allows_no_other_origin(guarded: Cluster, origin: str) -> None:
    """A stranger gets neither itself nor a star."""
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}

    response = guarded.send("OPTIONS", "/", headers)

    assert response.headers.get("access-control-allow-origin") in (None, FRIEND)
    assert response.headers.get("access-control-allow-origin") != origin


def test_row_17_a_star_and_cookies_are_refused_at_start(tmp_path: Path) -> None:
    """The gateway does not start with both, and says which options they are."""
    conf = tmp_path / "gw.conf"
    options = {"use_cookies": True, "allow_origin": "*", "sqlite_path": str(tmp_path / "t.db")}
    conf.write_text(toml_text(options))

    ended = run_to_end([command_path("toto-gateway"), "--conf", str(conf), "--port", "0"])

    assert ended.returncode not in (0, None)
    said = ended.stdout + ended.stderr
    assert "allow_origin" in said
    assert "use_cookies" in said
    assert "Traceback" not in said
