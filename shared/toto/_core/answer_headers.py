"""Headers and cookies that methods may set: checked, so that none can break the answer."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from http.cookies import CookieError, SimpleCookie
from typing import Any

__all__ = ["cookie_line", "cookie_of", "header_name", "header_value"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_FIELD_VALUE = re.compile(r"[\x20-\x7e\xa0-\xff\t]{1,16384}")
# Text of RFC 9110, 5.5: visible Latin-1, spaces and tabs.


def header_name(name: object) -> str:
    """Return the name.

    Raises:
        ValueError: HTTP does not allow it.
    """
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise ValueError(f"not a header name: {name!a}"[:100])
    return name


def header_value(value: object) -> str:
    """Return the value as text.

    Raises:
        ValueError: HTTP does not allow it.
    """
    text = str(value) if isinstance(value, str | int | float) else ""
    if not _FIELD_VALUE.fullmatch(text):
        raise ValueError(f"not a header value: {value!a}"[:100])
    return text


def cookie_of(header: str, name: str) -> str | None:
    """Return the cookie of that name in a request's ``Cookie`` header, or None."""
    for pair in header.split(";"):
        key, separator, value = pair.strip().partition("=")
        if separator and key == name:
            # Quotes and escapes as ``SimpleCookie`` writes them (RFC 2109).
            cookie: SimpleCookie = SimpleCookie()
            return cookie.value_decode(value)[0]
    return None


def cookie_line(name: str, value: str, attributes: Mapping[str, Any]) -> str:
    """Return the value of a ``Set-Cookie`` header.

    Raises:
        ValueError: a name, value or attribute that is not allowed.
    """
    cookie: SimpleCookie = SimpleCookie()
    try:
        cookie[name] = header_value(value) if value else ""
        for key, setting in attributes.items():
            if setting is None or setting is False or setting == "":
                continue
            if key == "expires":
                setting = _http_date(setting)
            if ";" in header_value(setting):
                raise ValueError(f"not an attribute of a cookie: {setting!a}"[:100])
            cookie[name][key.replace("_", "-")] = setting
    except CookieError as error:
        raise ValueError(f"not a cookie: {error}"[:100]) from None
    return header_value(cookie[name].OutputString())


def _http_date(moment: float | datetime) -> str:
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment = aware.timestamp()
    try:
        return formatdate(moment, usegmt=True)
    except (OverflowError, OSError, TypeError):
        raise ValueError("not a time at which a cookie can end") from None
