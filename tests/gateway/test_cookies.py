"""The session cookie: what is read from any header, and what is written."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toto._core.kinds import Secret
from toto_gateway.sessions.cookies import SessionCookie

SECRET = Secret("a secret of the tests, long enough")
SESSION_ID = "AbC-_0123456789abcdefg"
# printf toto-session-id=ID | openssl dgst -sha256 -hmac SECRET -binary | base64, URL-safe
SIGNED = SESSION_ID + "|nUDU0NX5cSXpjZL25r1FR4ZuKGCNoB2qHOhfgsaLZSw"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("toto-session-id=abc", "abc"),
        ("a=1; toto-session-id=abc; b=2", "abc"),
        ("a=1;toto-session-id=abc;b=2", "abc"),
        (" toto-session-id =\tabc ", "abc"),
        ("other=h\u00e9; toto-session-id=abc", "abc"),
        ("toto-session-id=a+/=.b|c", "a+/=.b|c"),
        ("", ""),
        (";;;===", ""),
        ("toto-session-id", ""),
        ("toto-session-id=", ""),
        ('toto-session-id="abc"', ""),
        ("toto-session-id=a b", ""),
        ("toto-session-id=a,b", ""),
        ("toto-session-id=a\\b", ""),
        ("toto-session-id=a\x00b", ""),
        ("toto-session-id=h\u00e9", ""),
        ("TOTO-SESSION-ID=abc", ""),
        ("x-toto-session-id=abc", ""),
        ("toto-session-id2=abc", ""),
        ("toto-session-id=abc; toto-session-id=def", ""),
        ("toto-session-id=abc; toto-session-id=abc", ""),
        ("toto-session-id=abc; toto-session-id=", ""),
        ("toto-session-id=abc; " + "x" * 8192, ""),
    ],
)
def test_only_a_clear_value_is_read(header: str, expected: str) -> None:
    """One plain value is read; what is missing, doubled, quoted or garbled is no session."""
    assert SessionCookie().read(header) == expected


@given(st.text() | st.text(alphabet='toto-session-id=;" \t|,\\a\x00\u00e9\ud800', max_size=60))
def test_no_header_raises(header: str) -> None:
    """Whatever a client sends is read as some text, signed or not."""
    for cookie in (SessionCookie(), SessionCookie(secret=SECRET)):
        assert isinstance(cookie.read(header), str)
        assert isinstance(cookie.read(f"toto-session-id={header}"), str)


@pytest.mark.parametrize("unit", [";", "=", "toto-session-id=;", "toto-session-id=a;", " ", "|"])
def test_a_hostile_header_costs_little(unit: str) -> None:
    """The longest header takes a fraction of a second, and a megabyte no longer."""
    started = time.perf_counter()
    for length in (8192, 1_000_000):
        header = "toto-session-id=" + unit * (length // len(unit))
        SessionCookie(secret=SECRET).read(header[:length])

    assert time.perf_counter() - started < 1.0


def test_row_15_the_cookie_is_out_of_reach() -> None:
    """No script reads it, no other site sends it along, and it travels over TLS only."""
    header = SessionCookie().set_header("abc", expires=1060.9, now=1000.0)

    assert header == (
        "Set-Cookie",
        "toto-session-id=abc; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure",
    )


def test_domain_and_root_are_in_the_cookie() -> None:
    """A domain widens the cookie, a root narrows it, and without TLS it is not Secure."""
    cookie = SessionCookie(domain="example.com", is_secure=False, root="/api/")

    assert cookie.set_header("abc", expires=1060.0, now=1000.0)[1] == (
        "toto-session-id=abc; Max-Age=60; Path=/api; HttpOnly; SameSite=Lax; Domain=example.com"
    )
    assert cookie.clear_header() == (
        "Set-Cookie",
        "toto-session-id=; Max-Age=0; Path=/api; HttpOnly; SameSite=Lax; Domain=example.com",
    )


@pytest.mark.parametrize(
    ("expires", "age"), [(999.0, 0), (1000.5, 0), (4e9, 34560000), (float("inf"), 34560000)]
)
def test_the_age_is_within_what_browsers_keep(expires: float, age: int) -> None:
    """A session that is over has no age left, and none is longer than 400 days."""
    _, cookie = SessionCookie().set_header("abc", expires, now=1000.0)

    assert cookie.split("; ")[1] == f"Max-Age={age}"


def test_row_15_a_signed_cookie_is_read_back() -> None:
    """With a secret the value carries an HMAC-SHA256 over the name and the id."""
    cookie = SessionCookie(secret=SECRET)
    _, written = cookie.set_header(SESSION_ID, expires=1060.0, now=1000.0)

    assert written.startswith(f"toto-session-id={SIGNED}; ")
    assert cookie.read(f"toto-session-id={SIGNED}") == SESSION_ID


@pytest.mark.parametrize(
    "value",
    [
        SESSION_ID,
        SESSION_ID + "|",
        "|",
        "|" + SIGNED.partition("|")[2],
        SIGNED[:-1],
        SIGNED[:-1] + "l",
        SIGNED + "=",
        SIGNED.replace("A", "B", 1),
        SIGNED + "|" + SIGNED.partition("|")[2],
    ],
)
def test_row_15_a_forged_cookie_is_no_session(value: str) -> None:
    """A missing, shortened, changed or moved signature is as good as no cookie."""
    assert SessionCookie(secret=SECRET).read(f"toto-session-id={value}") == ""


def test_row_15_signatures_hold_for_one_secret_and_one_name() -> None:
    """What another secret signed, or the same one for another cookie, is no session."""
    others = SessionCookie(secret=Secret("another")), SessionCookie("other", secret=SECRET)
    for other in others:
        _, written = other.set_header(SESSION_ID, expires=1060.0, now=1000.0)
        value = written.partition(";")[0].partition("=")[2]
        assert SessionCookie(secret=SECRET).read(f"toto-session-id={value}") == ""


@pytest.mark.parametrize("session_id", ["", "a b", "a;b", "a,b", 'a"b', "a\r\nb", "h\u00e9", "a\\"])
def test_an_id_that_no_cookie_can_hold_is_refused(session_id: str) -> None:
    """An id that would end the value, or the header, is never written."""
    with pytest.raises(ValueError, match="characters that no cookie can hold"):
        SessionCookie().set_header(session_id, expires=1060.0, now=1000.0)


def test_row_15_a_cookie_over_4096_bytes_is_refused() -> None:
    """The longest cookie has 4096 bytes with its attributes; browsers would drop a longer one."""
    cookie = SessionCookie()
    rest = len(cookie.set_header("a", expires=1060.0, now=1000.0)[1]) - 1

    longest = cookie.set_header("a" * (4096 - rest), expires=1060.0, now=1000.0)[1]
    assert len(longest) == 4096
    with pytest.raises(ValueError, match="over 4096 bytes"):
        cookie.set_header("a" * (4097 - rest), expires=1060.0, now=1000.0)


@pytest.mark.parametrize("secret", [Secret(""), SECRET])
@pytest.mark.parametrize(("domain", "root"), [("", "/"), ("example.com", "/an/api")])
def test_row_15_the_longest_id_is_known(secret: Secret, domain: str, root: str) -> None:
    """An id of that length fits for the longest time, signed or not, and no longer one does."""
    cookie = SessionCookie(domain=domain, root=root, secret=secret)
    longest = "a" * cookie.session_id_length_max

    _, written = cookie.set_header(longest, expires=4e9, now=1000.0)

    assert len(written) == 4096
    assert cookie.read(written.partition(";")[0]) == longest
    with pytest.raises(ValueError, match="over 4096 bytes"):
        cookie.set_header(longest + "a", expires=4e9, now=1000.0)


@pytest.mark.parametrize(
    ("domain", "root"), [("a;b", "/"), ("a b", "/"), ("a\r\n", "/"), ("-", "/"), ("", "/a;b")]
)
def test_settings_that_break_the_header_are_refused(domain: str, root: str) -> None:
    """A domain or a root which would add attributes is refused at once."""
    with pytest.raises(ValueError, match="for a cookie"):
        SessionCookie(domain=domain, root=root)


def test_the_secret_does_not_show() -> None:
    """The cookie's own text does not hold the secret."""
    assert "secret of the tests" not in repr(vars(SessionCookie(secret=SECRET)))
