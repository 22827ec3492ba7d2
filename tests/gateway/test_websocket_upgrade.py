"""Handshakes: which requests open a WebSocket, as whom, and what the others are told."""

import logging
from typing import Any

import pytest
from websockets.protocol import State

from toto.exceptions import ERROR_MALFORMED_REQUEST, ERROR_NOT_AUTHORIZED
from toto_gateway.request import Request
from toto_gateway.sessions.cookies import SessionCookie
from toto_gateway.websocket.upgrade import Refusal, Upgrade, UpgradePolicy

HEADERS = {
    "Host": "app.example",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def request(uri: str = "/api/websocket", /, **changed: str | None) -> Request:
    """Return a good handshake but for some headers; None leaves one out."""
    renamed = {name.replace("_", "-").lower(): value for name, value in changed.items()}
    headers = {name: value for name, value in HEADERS.items() if name.lower() not in renamed}
    headers |= {name: value for name, value in renamed.items() if value is not None}
    return Request("GET", uri, tuple(headers.items()), b"", "127.0.0.1", "r1")


def policy(**options: Any) -> UpgradePolicy:
    plain: dict[str, Any] = {"allow_origin": "", "cookie": None, "max_message_bytes": 1000}
    return UpgradePolicy("/api/websocket", **{**plain, **options})


def opened(sent: Request, **options: Any) -> Upgrade:
    judgement = policy(**options).judge(sent, is_http11=True)
    assert isinstance(judgement, Upgrade), judgement
    return judgement


def refused(sent: Request, *, is_http11: bool = True, **options: Any) -> Refusal:
    judgement = policy(**options).judge(sent, is_http11=is_http11)
    assert isinstance(judgement, Refusal)
    return judgement


def test_a_good_handshake_is_answered_as_the_standard_says() -> None:
    """The key and its answer are those of RFC 6455, 1.3; nothing is negotiated."""
    sent = request(
        Sec_WebSocket_Protocol="chat", Sec_WebSocket_Extensions="permessage-deflate; x=("
    )

    upgrade = opened(sent)

    head, _, rest = upgrade.response.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    headers.pop("Date")
    assert status == "HTTP/1.1 101 Switching Protocols"
    assert headers == {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "X-Request-Id": "r1",
    }
    assert rest == b""
    assert upgrade.protocol.state is State.OPEN
    upgrade.protocol.receive_data(b"\x82\xfe" + (1000).to_bytes(2) + bytes(1004))
    assert upgrade.protocol.state is State.OPEN
    upgrade.protocol.receive_data(b"\x82\xfe" + (1001).to_bytes(2) + bytes(1005))
    assert upgrade.protocol.close_sent is not None
    assert upgrade.protocol.close_sent.code == 1009


@pytest.mark.parametrize(
    ("changed", "status", "version"),
    [
        ({"Upgrade": None, "Connection": None}, 426, "13"),
        ({"Upgrade": "h2c"}, 426, "13"),
        ({"Upgrade": "websocket, h2c"}, 426, "13"),
        ({"Connection": "close"}, 426, "13"),
        ({"Sec_WebSocket_Version": "8"}, 426, "13"),
        ({"Sec_WebSocket_Version": "13, 8"}, 426, "13"),
        ({"Sec_WebSocket_Version": None}, 0, None),
        ({"Sec_WebSocket_Key": None}, 0, None),
        ({"Sec_WebSocket_Key": "short"}, 0, None),
        ({"Sec_WebSocket_Key": "AAAA"}, 0, None),
        ({"Sec_WebSocket_Key": "\u00e9" * 22}, 0, None),
        ({"Connection": ";;;"}, 0, None),
    ],
)
def test_a_bad_handshake_is_told_what_is_wrong(
    changed: dict[str, str | None], status: int, version: str | None
) -> None:
    """426 names what would work, everything else is malformed."""
    refusal = refused(request(**changed))

    headers = dict(refusal.headers)
    assert refusal.failure.code == ERROR_MALFORMED_REQUEST
    assert refusal.status == status
    assert headers.get("Sec-WebSocket-Version") == version
    assert headers.get("Upgrade") == ("websocket" if status else None)


def test_a_repeated_header_is_malformed() -> None:
    """Which of two keys would count?"""
    sent = request()
    twice = (*sent.headers, ("sec-websocket-key", HEADERS["Sec-WebSocket-Key"]))

    refusal = refused(Request("GET", sent.uri, twice, b"", "127.0.0.1", "r1"))

    assert refusal.failure.code == ERROR_MALFORMED_REQUEST


def test_an_older_http_cannot_upgrade() -> None:
    """RFC 9110, 7.8: such a request's Upgrade header does not count."""
    assert refused(request(), is_http11=False).status == 426


@pytest.mark.parametrize(
    ("allow_origin", "origin", "is_allowed"),
    [
        ("", None, True),
        ("", "http://app.example", True),
        ("", "https://app.example", True),
        ("", "https://APP.example:443", True),
        ("", "https://app.example:8443", False),
        ("https://partner.example:443", "https://partner.example", True),
        ("http://partner.example:80", "http://partner.example", True),
        ("http://partner.example:443", "http://partner.example", False),
        ("https://partner.example", "https://partner.example:443", True),
        ("", "https://evil.example", False),
        ("", "https://app.example.evil", False),
        ("", "null", False),
        ("", "file://app.example", False),
        ("https://page.example", "https://page.example", True),
        ("https://a.example, https://page.example", "https://PAGE.example", True),
        ("https://page.example", "https://evil.example", False),
        ("*", "https://evil.example", True),
        ("*", "null", True),
    ],
)
def test_only_pages_that_may_call_may_open_a_socket(
    allow_origin: str, origin: str | None, is_allowed: bool
) -> None:
    """Browsers do not ask before they open one, and send the cookie along."""
    judgement = policy(allow_origin=allow_origin).judge(request(Origin=origin), is_http11=True)

    assert isinstance(judgement, Upgrade) is is_allowed
    if isinstance(judgement, Refusal):
        assert (judgement.failure.code, judgement.status) == (ERROR_NOT_AUTHORIZED, 403)


@pytest.mark.parametrize(
    ("uri", "is_about"),
    [
        ("/api/websocket", True),
        ("/api/websocket?a=/b", True),
        ("/api/websocket/", True),
        ("/api/websocket/abc", True),
        ("http://app.example/api/websocket", True),
        ("//api/websocket/abc", True),
        ("/api//websocket/abc", True),
        ("/Api/WebSocket/abc", True),
        ("/api/%77ebsocket%2fabc", True),
        ("/x/api/websocket", False),
        ("/api/websockets", False),
        ("/websocket", False),
        ("/api", False),
        ("/x?/api/websocket", False),
        ("*", False),
    ],
)
def test_the_path_decides_what_is_about_a_socket(uri: str, is_about: bool) -> None:
    """All else calls methods."""
    assert policy().is_about(uri) is is_about


@pytest.mark.parametrize("uri", ["//api/websocket/abc", "/api/WEBSOCKET/abc", "/api%2fwebsocket"])
def test_the_path_must_be_spelled_as_it_is(uri: str) -> None:
    """It is told, and no session is looked for there."""
    judgement = policy().judge(request(uri), is_http11=True)

    assert isinstance(judgement, Refusal)
    assert judgement.status == 404
    assert "/api/websocket" in str(judgement.failure.value)
    assert "abc" not in str(judgement.failure.value)


@pytest.mark.parametrize(
    ("uri", "session_id", "shown"),
    [
        ("/api/websocket", "", "/api/websocket"),
        ("/api/websocket/", "", "/api/websocket"),
        ("/api/websocket/a%2Fb%3D", "a/b=", "/api/websocket"),
        ("/api/websocket/a/b?x=1&y=%20", "a/b", "/api/websocket?x=1&y=%20"),
        ("/api/websocket?x=1", "", "/api/websocket?x=1"),
        ("/api/websocket/%00%ff", "", "/api/websocket"),
        ("http://app.example/api/websocket/abc?x", "abc", "/api/websocket?x"),
    ],
)
def test_a_session_id_in_the_path_is_read_and_not_shown(
    uri: str, session_id: str, shown: str
) -> None:
    """Methods and logs see the path without it; signatures cover what was sent."""
    handshake = opened(request(uri)).handshake

    assert handshake.session_id == session_id
    assert not handshake.is_cookie
    assert (handshake.shown.verb, handshake.shown.uri) == ("POST", shown)
    assert (handshake.signed.verb, handshake.signed.uri) == ("GET", uri)


def test_the_header_goes_before_the_cookie_and_both_before_the_path() -> None:
    """Each is a way for some kind of client."""
    uri, cookie = "/api/websocket/in-path", SessionCookie()
    both = request(uri, X_Toto_Session_Id="in-header", Cookie="toto-session-id=in-cookie")
    cookie_alone = request(uri, Cookie="toto-session-id=in-cookie")

    by_header = opened(both, cookie=cookie).handshake
    by_cookie = opened(cookie_alone, cookie=cookie).handshake
    without_cookies = opened(cookie_alone).handshake

    assert (by_header.session_id, by_header.is_cookie) == ("in-header", False)
    assert (by_cookie.session_id, by_cookie.is_cookie) == ("in-cookie", True)
    assert (without_cookies.session_id, without_cookies.is_cookie) == ("in-path", False)


def test_frames_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """They hold credentials, and the library would write them at the level debug."""
    with caplog.at_level(logging.DEBUG):
        upgrade = opened(request("/api/websocket/secret-session"))
        upgrade.protocol.receive_data(b"\x81\x85\x00\x00\x00\x00hello")
        upgrade.protocol.send_text(b"world")

    assert len(upgrade.protocol.events_received()) == 1
    assert caplog.records == []
