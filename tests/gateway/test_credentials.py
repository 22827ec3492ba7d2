"""Which session a request claims to belong to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toto._core.kinds import Secret
from toto_gateway.credentials import presented_credential
from toto_gateway.request import Request
from toto_gateway.sessions.cookies import SessionCookie

COOKIE = SessionCookie()


def credential(*headers: tuple[str, str], cookie: SessionCookie | None = COOKIE) -> str:
    return presented_credential(Request("POST", "/m", headers, b"{}", "127.0.0.1", "r-1"), cookie)


def test_the_header_goes_before_the_cookie() -> None:
    """With both the header counts, and the cookie without it."""
    cookie = ("Cookie", "toto-session-id=from-cookie")

    assert credential(("X-Toto-Session-Id", "from-header"), cookie) == "from-header"
    assert credential(("X-Toto-Session-Id", "  "), cookie) == "from-cookie"
    assert credential(cookie) == "from-cookie"


def test_the_cookie_counts_in_cookie_mode_only() -> None:
    """Without use_cookies a cookie is no credential."""
    assert credential(("Cookie", "toto-session-id=from-cookie"), cookie=None) == ""


def test_without_a_credential_there_is_none() -> None:
    """A request with neither has an empty credential."""
    assert credential() == ""


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [
        ("  abc\t", "abc"),
        ("a" * 8192, "a" * 8192),
        ("a" * 8193, ""),
        ("h\u00e9", ""),
        ("a\x00b", ""),
        ("a\x7fb", ""),
        ("a\tb", ""),
        ("\u2028", ""),
        ("a\u00a0b", ""),
    ],
)
def test_what_cannot_be_a_session_id_is_none(given_id: str, expected: str) -> None:
    """Blanks around an id are cut; one that is too long or not visible ASCII is none."""
    assert credential(("x-toto-session-id", given_id)) == expected


def test_a_bad_header_does_not_fall_back_to_the_cookie() -> None:
    """The client meant the header, so the call must not run as somebody else."""
    bad = ("x-toto-session-id", "h\u00e9")

    assert credential(bad, ("Cookie", "toto-session-id=from-cookie")) == ""


def test_row_15_a_second_cookie_cannot_hide_in_a_second_header() -> None:
    """Cookie headers count together: two session cookies are none, and one is found in any."""
    first = ("Cookie", "toto-session-id=abc")

    assert credential(("Cookie", "a=1"), first) == "abc"
    assert credential(first, ("cookie", "toto-session-id=def")) == ""


def test_row_15_a_signed_cookie_is_checked() -> None:
    """With a secret only a signed cookie is a credential."""
    cookie = SessionCookie(secret=Secret("a secret of the tests"))
    _, written = cookie.set_header("abc", expires=1060.0, now=1000.0)

    assert credential(("Cookie", written.partition(";")[0]), cookie=cookie) == "abc"
    assert credential(("Cookie", "toto-session-id=abc"), cookie=cookie) == ""


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Cookie", "x-toto-session-id"]) | st.text(),
            st.text() | st.text().map("toto-session-id={}".format),
        )
    )
)
def test_no_header_raises(headers: list[tuple[str, str]]) -> None:
    """Whatever a client sends, the credential is up to 8192 characters of visible ASCII."""
    for cookie in (None, COOKIE):
        found = credential(*headers, cookie=cookie)
        assert all(" " <= character <= "~" for character in found)
        assert len(found) <= 8192
