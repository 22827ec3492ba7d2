"""Headers and cookies that methods set: what is allowed, and what would break the answer."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toto._core.answer_headers import cookie_line, cookie_of, header_name, header_value


@pytest.mark.parametrize(
    ("attributes", "line"),
    [
        ({}, "a=b"),
        ({"path": "/x", "domain": None, "secure": True}, "a=b; Path=/x; Secure"),
        ({"httponly": False, "max_age": 60}, "a=b; Max-Age=60"),
        ({"samesite": "Lax"}, "a=b; SameSite=Lax"),
        ({"expires": 0.0}, "a=b; expires=Thu, 01 Jan 1970 00:00:00 GMT"),
        ({"expires": datetime(2030, 1, 2)}, "a=b; expires=Wed, 02 Jan 2030 00:00:00 GMT"),  # noqa: DTZ001  # naive is UTC
        (
            {"expires": datetime(2030, 1, 2, 1, tzinfo=timezone(timedelta(hours=1)))},
            "a=b; expires=Wed, 02 Jan 2030 00:00:00 GMT",
        ),
    ],
)
def test_the_line_of_a_cookie(attributes: dict[str, Any], line: str) -> None:
    """Attributes that are None or False are left out."""
    assert cookie_line("a", "b", attributes) == line


@pytest.mark.parametrize(
    ("name", "value", "attributes"),
    [
        ("a b", "v", {}),
        ("a;b", "v", {}),
        ("", "v", {}),
        ("path", "v", {}),
        ("a", "v\r\nSet-Cookie: x=y", {}),
        ("a", "日本", {}),
        ("a", "v", {"path": "/;x=y"}),
        ("a", "v", {"samesite": "Lax; Domain=evil"}),
        ("a", "v", {"max_age": "5;x=y"}),
        ("a", "v", {"comment": "a;b"}),
        ("a", "v", {"domain": "d\nom"}),
        ("a", "v", {"colour": "red"}),
        ("a", "v", {"expires": "soon"}),
        ("a", "v", {"expires": 1e300}),
    ],
)
def test_what_would_break_the_answer_is_refused(
    name: str, value: str, attributes: dict[str, Any]
) -> None:
    """With an error, and not by half."""
    with pytest.raises(ValueError, match="not a"):
        cookie_line(name, value, attributes)


@given(value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=50))
def test_a_cookie_comes_back_as_it_was_set(value: str) -> None:
    """Quotes, semicolons and backslashes, too."""
    line = cookie_line("name", value, {"path": "/"})

    pair = line.rpartition("; Path=")[0]
    if '"' not in pair and ";" not in value:
        assert cookie_of(f"other=1; {pair}; last=2", "name") == value


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("a=1", "1"),
        ("b=2; a=1", "1"),
        ('a="x y"', "x y"),
        ("a=", ""),
        ("ab=1", None),
        ("a", None),
        ("", None),
        ("a=1; a=2", "1"),
    ],
)
def test_a_cookie_of_a_request(header: str, found: str | None) -> None:
    """The first of the name counts."""
    assert cookie_of(header, "a") == found


@given(header=st.text(max_size=60), name=st.text(max_size=5))
def test_any_header_can_be_searched(header: str, name: str) -> None:
    """A text or None, whatever the client sent."""
    assert isinstance(cookie_of(header, name), str | None)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "ä", 5, None, "a\n"])
def test_names_that_http_does_not_allow(name: Any) -> None:
    """An error of the method, before anything is sent."""
    with pytest.raises(ValueError, match="not a header name"):
        header_name(name)


@pytest.mark.parametrize("value", ["", "a\r\nb", "a\0", "日本", None, object(), b"x"])
def test_values_that_http_does_not_allow(value: Any) -> None:
    """An error of the method, before anything is sent."""
    with pytest.raises(ValueError, match="not a header value"):
        header_value(value)


def test_numbers_are_written_as_texts() -> None:
    """Toto's methods set them."""
    assert header_value(5) == "5"
    assert header_value(1.5) == "1.5"
