"""Which pages may open WebSockets, and sessions in cookies (sections 5 and 8)."""

from collections.abc import Iterator
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.http import Response
from toto_testkit.sessions import PASSWORD, UNLIMITED, Browser, new_user_id
from toto_testkit.websocket import HANDSHAKE, open_raw, open_socket, serving_sockets

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

FRIEND = "https://app.example"
STRANGER = "https://evil.example"
NOT_AUTHORIZED = {"error": {"code": 1004, "value": "Not authorized"}}


@pytest.fixture(scope="module")
def cookies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Signed cookies over plain HTTP; pages of two other origins may call."""
    directory = tmp_path_factory.mktemp("socket-cookies")
    options: dict[str, Any] = {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "threads": 4,
        "use_cookies": True,
        "secure_cookies": False,
        "cookie_secret": "a secret that signs cookies, 32+",
        "allow_origin": f"{FRIEND}, https://other.example",
    }
    with serving_sockets(directory, **options) as started:
        yield started


@pytest.fixture
def browser(cookies: Cluster) -> Browser:
    """A browser with the cookie of a logged-in user."""
    made = Browser(cookies)
    made.create()
    return made


def headers_of(browser: Browser, **more: str) -> dict[str, str]:
    """Return what a browser adds to a handshake."""
    return {"Host": browser.host, **browser.cookie_headers, **more}


def knock(cluster: Cluster, **headers: str) -> Response:
    """Try to open a socket and return the answer, which must not be 101."""
    with cluster.connect() as connection:
        connection.request("GET", "/websocket", {**HANDSHAKE, **headers})
        return connection.read_response("GET")


def assert_refused(response: Response) -> None:
    """Check that a handshake was refused for its origin."""
    assert response.status == 403
    assert isinstance(response.error["code"], int)
    assert response.error["code"] != 1000
    assert response.error["value"]
    assert response.headers["x-request-id"]


# -- origins


def test_a_client_that_is_no_browser_sends_no_origin(sockets: Cluster) -> None:
    """And may call."""
    with open_raw(sockets) as socket:
        assert socket.call("echo", 1) == {"result": 1}


@pytest.mark.parametrize("template", ["http://{host}", "https://{host}", "HTTP://{host}"])
def test_a_page_of_the_same_host_may_call(sockets: Cluster, template: str) -> None:
    """A proxy may have ended the TLS."""
    host = f"127.0.0.1:{sockets.port}"
    with open_raw(sockets, headers={"Host": host, "Origin": template.format(host=host)}) as socket:
        assert socket.call("echo", 1) == {"result": 1}


@pytest.mark.parametrize(
    "origin",
    [
        STRANGER,
        FRIEND,
        "null",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost",
        "http://127.0.0.1:1@{host}",
        "http://{host}.evil.example",
        "http://evil.example/{host}",
        "{host}",
        "file://{host}",
        "http://{host}, http://{host}",
        "http://{host} http://evil.example",
        "é",
    ],
)
def test_pages_of_other_origins_may_not(sockets: Cluster, origin: str) -> None:
    """Whether or not there are cookies: the gateway may stand in a network of its own."""
    host = f"127.0.0.1:{sockets.port}"
    given = origin.format(host=host).encode().decode("latin-1")

    assert_refused(knock(sockets, Host=host, Origin=given))


@pytest.mark.parametrize("origin", [FRIEND, "https://other.example", "https://APP.example"])
def test_pages_of_allowed_origins_may_call(cookies: Cluster, origin: str) -> None:
    """Which the option names."""
    with open_raw(cookies, headers={"Origin": origin}) as socket:
        assert socket.call("echo", 1) == {"result": 1}


@pytest.mark.parametrize(
    "origin",
    ["http://app.example", "https://app.example:444", "https://sub.app.example", STRANGER],
)
def test_only_the_whole_origin_counts(cookies: Cluster, origin: str) -> None:
    """Scheme and port belong to it."""
    assert_refused(knock(cookies, Origin=origin))


@pytest.mark.parametrize("origin", [STRANGER, FRIEND, "null"])
def test_a_star_allows_all(odd_sockets: Cluster, origin: str) -> None:
    """As for calls over HTTP."""
    with open_raw(odd_sockets, "/api/live", {"Origin": origin}) as socket:
        assert socket.call("echo", 1) == {"result": 1}


# -- cookies


def test_the_cookie_of_the_handshake_is_the_credential(browser: Browser) -> None:
    """A page that never sees the session id calls as its user."""
    headers = headers_of(browser, Origin=f"http://{browser.host}")
    with open_raw(browser.cluster, headers=headers) as socket:
        counts = [socket.call("session.counter", {})["result"] for _ in range(3)]

    assert counts == [1, 2, 3]
    assert browser.call("session.counter").result == 4


def test_pages_of_allowed_origins_have_the_cookie_too(browser: Browser) -> None:
    """They were allowed to act for the user."""
    with open_raw(browser.cluster, headers=headers_of(browser, Origin=FRIEND)) as socket:
        assert socket.call("session.counter", {})["result"] == 1


@pytest.mark.parametrize("origin", [STRANGER, "null", "http://127.0.0.1:1"])
def test_no_page_of_another_origin_acts_with_the_cookie(browser: Browser, origin: str) -> None:
    """The handshake is refused, for a socket has no other guard."""
    response = knock(browser.cluster, **headers_of(browser, Origin=origin))

    assert_refused(response)
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("value", ["", "x", "AAAAAAAAAAAAAAAAAAAAAA", "a" * 3000, '"', "é"])
def test_a_wrong_cookie_is_none(cookies: Cluster, value: str) -> None:
    """The socket opens and is nobody's."""
    cookie = f"toto-session-id={value}".encode().decode("latin-1")
    with open_raw(cookies, headers={"Cookie": cookie}) as socket:
        assert socket.call("session.secret", {}) == NOT_AUTHORIZED


def test_the_bare_session_id_is_no_cookie(browser: Browser) -> None:
    """With ``cookie_secret`` it must be signed."""
    user_id = new_user_id()
    account = {"user_id": user_id, "password": PASSWORD}
    session_id = browser.call("account.create", account).result["session_id"]
    with open_raw(browser.cluster, headers={"Cookie": f"toto-session-id={session_id}"}) as socket:
        assert socket.call("session.secret", {}) == NOT_AUTHORIZED


def test_the_header_and_messages_are_credentials_too(browser: Browser) -> None:
    """And count before the cookie."""
    user_id = new_user_id()
    account: dict[str, Any] = {"user_id": user_id, "password": PASSWORD}
    session_id = Browser(browser.cluster).call("account.create", account).result["session_id"]
    by_header = {**headers_of(browser), "x-toto-session-id": session_id}
    del by_header["Host"]
    with open_socket(browser.cluster, headers=by_header) as socket:
        assert socket.result("session.secret") == f"for {user_id}"
    with open_socket(browser.cluster, headers=browser.cookie_headers) as socket:
        assert socket.result("session.secret") != f"for {user_id}"
        assert socket.result("session.secret", session_id=session_id) == f"for {user_id}"
        assert socket.result("session.secret") == f"for {user_id}"


def test_a_login_over_a_socket_sets_no_cookie(cookies: Cluster) -> None:
    """There is no header to set it by; the session is the socket's alone."""
    user_id = new_user_id()
    with open_socket(cookies) as socket:
        answer = socket.call("account.create", {"user_id": user_id, "password": PASSWORD})
        assert socket.result("session.secret") == f"for {user_id}"

    assert answer.keys() == {"result", "session"}
