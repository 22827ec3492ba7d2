"""Which session a request claims to belong to. Whether it does is not decided here."""

from toto._core.stores.record import SESSION_ID_LENGTH_MAX
from toto_gateway.request import Request
from toto_gateway.sessions.cookies import SessionCookie

__all__ = ["header_credential", "possible_credential", "presented_credential"]


def presented_credential(request: Request, cookie: SessionCookie | None) -> str:
    """Return the session id of a request, or an empty string for none.

    The header ``x-toto-session-id`` goes before the cookie. What cannot be a session id counts as
    none: too long, or with characters other than visible ASCII and spaces.

    Args:
        request: any request.
        cookie: reads the cookie; None without ``use_cookies``.
    """
    credential = header_credential(request)
    if not credential and cookie is not None:
        # Proxies may split the header (RFC 9113, 8.2.3); all parts count, or the second of two
        # cookies of the same name could hide.
        parts = [value for name, value in request.headers if name.lower() == "cookie"]
        credential = cookie.read("; ".join(parts))
    return possible_credential(credential)


def header_credential(request: Request) -> str:
    """Return what the header ``x-toto-session-id`` says, or an empty string."""
    return request.header("x-toto-session-id").strip()


def possible_credential(text: str) -> str:
    """Return a text that may be a session id, or an empty string for one that cannot."""
    if len(text) > SESSION_ID_LENGTH_MAX:
        return ""
    return text if text.isascii() and text.isprintable() else ""
