"""Cookie mode: which calls may come from where. Rows 16 and 17 of the weaknesses of old Toto."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toto_gateway.request import Request
from toto_gateway.sessions.csrf import CsrfPolicy, CsrfProblem

POLICY = CsrfPolicy("https://app.example.com, https://Partner.org:8443")
JSON = ("Content-Type", "application/json")
HOST = ("Host", "api.example.com")


def request(*headers: tuple[str, str], verb: str = "POST") -> Request:
    return Request(verb, "/m", headers, b"{}", "127.0.0.1", "r-1")


def problem(*headers: tuple[str, str]) -> CsrfProblem | None:
    return POLICY.problem(request(JSON, HOST, *headers))


@pytest.mark.parametrize("verb", ["GET", "HEAD", "PUT", "DELETE", "post"])
def test_row_16_only_post_calls_a_method(verb: str) -> None:
    """A link, an image or a redirect, which send the cookie too, call nothing."""
    assert POLICY.problem(request(JSON, HOST, verb=verb)) is CsrfProblem.VERB


def test_row_16_a_preflight_is_answered() -> None:
    """OPTIONS runs nothing, and is how a browser asks before it sends a call."""
    origin = ("Origin", "https://evil.example")
    assert POLICY.problem(request(HOST, origin, verb="OPTIONS")) is None


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON ;charset=UTF-8",
        "application/msgpack",
        "application/x-msgpack",
        "application/vnd.msgpack",
        "application/bson",
    ],
)
def test_row_16_calls_in_the_three_formats_pass(content_type: str) -> None:
    """The formats and their other names pass, with parameters and in any case."""
    assert POLICY.problem(request(("content-type", content_type), HOST)) is None


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/jsonp",
        "application/json, text/plain",
        ";application/json",
    ],
)
def test_row_16_what_a_form_can_send_is_refused(content_type: str) -> None:
    """A page can send these to any site without a preflight, so they call nothing."""
    given_type = request(("Content-Type", content_type), HOST)

    assert POLICY.problem(given_type) is CsrfProblem.CONTENT_TYPE


def test_row_16_a_missing_content_type_is_refused() -> None:
    """A fetch with an untyped Blob sends none, and no preflight either."""
    assert POLICY.problem(request(HOST)) is CsrfProblem.CONTENT_TYPE


@pytest.mark.parametrize(
    ("site", "origin", "is_allowed"),
    [
        ("", "", True),  # not a browser
        ("same-origin", "", True),
        ("same-origin", "https://api.example.com", True),
        ("none", "", True),
        ("none", "https://api.example.com", True),
        ("", "https://api.example.com", True),
        ("", "http://api.example.com", True),
        ("", "HTTPS://API.example.com", True),
        ("", "https://api.example.com:443", True),
        ("same-site", "https://app.example.com", True),
        ("cross-site", "https://partner.org:8443", True),
        ("", "https://partner.org:8443", True),
        ("cross-site", "", False),
        ("Cross-Site", "", False),
        ("same-site", "", False),
        ("unheard-of", "", False),
        ("cross-site", "https://api.example.com", False),
        ("same-site", "https://api.example.com", False),
        ("same-site", "https://other.example.com", False),
        ("cross-site", "https://evil.example", False),
        ("same-origin", "https://evil.example", False),
        ("none", "https://evil.example", False),
        ("", "https://evil.example", False),
        ("", "https://partner.org", False),
        ("", "http://partner.org:8443", False),
        ("", "https://api.example.com:8443", False),
        ("", "https://api.example.com.evil.example", False),
        ("", "https://evil.example/api.example.com", False),
        ("", "https://api.example.com@evil.example", False),
        ("", "null", False),
        ("same-origin", "null", False),
        ("", "api.example.com", False),
        ("", "ftp://api.example.com", False),
        ("", "https://", False),
        ("", "://", False),
    ],
)
def test_row_16_only_own_and_allowed_pages_call(
    site: str, origin: str, *, is_allowed: bool
) -> None:
    """A browser's call passes from the gateway's own origin, or from one that is allowed."""
    headers = [("Sec-Fetch-Site", site)] if site else []
    headers += [("Origin", origin)] if origin else []

    assert problem(*headers) is (None if is_allowed else CsrfProblem.ORIGIN)


@pytest.mark.parametrize(
    ("host", "origin", "is_own"),
    [
        ("api.example.com:8888", "http://api.example.com:8888", True),
        ("api.example.com:443", "https://api.example.com", True),
        ("api.example.com:80", "http://api.example.com", True),
        ("API.EXAMPLE.COM", "https://api.example.com", True),
        ("[::1]:8888", "http://[::1]:8888", True),
        ("[::1]", "http://[::1]", True),
        ("api.example.com:80", "https://api.example.com", False),
        ("api.example.com:8888", "http://api.example.com", False),
        ("[::1]:8888", "http://[::1]", False),
        ("", "https://", False),
        ("", "https://api.example.com", False),
    ],
)
def test_row_16_the_origin_must_be_the_host_with_its_port(
    host: str, origin: str, *, is_own: bool
) -> None:
    """Name and port must agree, where the usual port of the scheme may be left out."""
    given_host = request(JSON, ("Host", host), ("Origin", origin))

    assert POLICY.problem(given_host) is (None if is_own else CsrfProblem.ORIGIN)


@pytest.mark.parametrize("allow_origin", ["*", "null", "*, null", "", " , "])
def test_row_17_a_star_allows_nobody_with_cookies(allow_origin: str) -> None:
    """Neither every origin nor the null origin can be allowed in cookie mode."""
    policy = CsrfPolicy(allow_origin)
    for origin in ("https://evil.example", "*", "null"):
        call = request(JSON, HOST, ("Origin", origin))
        assert policy.problem(call) is CsrfProblem.ORIGIN


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Origin", "Host", "Sec-Fetch-Site", "Content-Type"]) | st.text(),
            st.text() | st.sampled_from(["https://", "application/json", "null", ":443"]),
        )
    )
)
def test_no_header_raises(headers: list[tuple[str, str]]) -> None:
    """Whatever a client sends, there is a verdict."""
    assert POLICY.problem(request(*headers)) in (None, *CsrfProblem)
