"""The session cookie: reading it from a request, writing it into a response (RFC 6265)."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode

from toto._core.kinds import Secret

__all__ = ["COOKIE_BYTES_MAX", "COOKIE_NAME", "SessionCookie"]

COOKIE_NAME = "toto-session-id"
"""Clients know this name, so it does not get the stronger ``__Host-`` in front."""
COOKIE_BYTES_MAX = 4096
"""Name, value and attributes; browsers may drop what is longer (RFC 6265, 6.1)."""

_HEADER_LENGTH_MAX = 8192
_AGE_SECONDS_MAX = 400 * 24 * 3600
"""Browsers keep no cookie for longer (draft-ietf-httpbis-rfc6265bis, 5.6.2)."""
_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")
_DOMAIN = re.compile(r"\.?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_PATH = re.compile(r"[\x21-\x3a\x3c-\x7e]*")


class SessionCookie:
    """Reads and writes the cookie that holds a session id.

    Args:
        name: the cookie's name.
        domain: share the cookie with all hosts of this domain; empty keeps it to one host.
        is_secure: let browsers send it over TLS only.
        root: URL prefix under which it is sent.
        secret: signs the value with HMAC-SHA256; empty leaves it unsigned.

    Raises:
        ValueError: domain or root do not fit into a header.
    """

    def __init__(
        self,
        name: str = COOKIE_NAME,
        *,
        domain: str = "",
        is_secure: bool = True,
        root: str = "/",
        secret: Secret | None = None,
    ) -> None:
        if domain and not _DOMAIN.fullmatch(domain):
            raise ValueError(f"not a domain for a cookie: {domain!r}")
        if not _PATH.fullmatch(root):
            raise ValueError(f"not a path for a cookie: {root!r}")
        self._name = name
        self._secret = secret or Secret("")
        # Without a slash at its end a path fits both itself and what is below it (5.1.4).
        attributes = [f"Path=/{root.strip('/')}", "HttpOnly", "SameSite=Lax"]
        if domain:
            attributes.append(f"Domain={domain}")
        if is_secure:
            attributes.append("Secure")
        self._attributes = "; ".join(attributes)

    @property
    def session_id_length_max(self) -> int:
        """Characters of the longest session id for which ``set_header`` makes a cookie."""
        longest = self._cookie("", _AGE_SECONDS_MAX)
        return max(0, COOKIE_BYTES_MAX - len(longest))

    def read(self, cookie_header: str) -> str:
        """Return the session id in a Cookie header, or an empty string for anything unclear.

        A name that is there twice is unclear: another host of the domain may have set one of the
        two. A wrong signature is as good as no cookie.
        """
        if self._name not in cookie_header or len(cookie_header) > _HEADER_LENGTH_MAX:
            return ""
        values = [
            value.strip(" \t")
            for name, equals, value in (pair.partition("=") for pair in cookie_header.split(";"))
            if equals and name.strip(" \t") == self._name
        ]
        if len(values) != 1 or not _VALUE.fullmatch(values[0]):
            return ""
        return self._verified(values[0]) if self._secret else values[0]

    def set_header(self, session_id: str, expires: float, now: float) -> tuple[str, str]:
        """Return the header that gives a session to the client.

        Args:
            session_id: what ``read`` will return.
            expires: end of the session, in seconds since the epoch.
            now: the present time, likewise.

        Raises:
            ValueError: the id has characters that no cookie can hold, or is too long for one.
        """
        if not _VALUE.fullmatch(session_id):
            raise ValueError("the session id has characters that no cookie can hold")
        age_seconds = max(0, int(min(expires - now, _AGE_SECONDS_MAX)))
        cookie = self._cookie(session_id, age_seconds)
        if len(cookie) > COOKIE_BYTES_MAX:
            raise ValueError(f"the session id needs a cookie of over {COOKIE_BYTES_MAX} bytes")
        return "Set-Cookie", cookie

    def clear_header(self) -> tuple[str, str]:
        """Return the header that makes the client forget the session."""
        return "Set-Cookie", f"{self._name}=; Max-Age=0; {self._attributes}"

    def _cookie(self, session_id: str, age_seconds: int) -> str:
        value = f"{session_id}|{self._signature(session_id)}" if self._secret else session_id
        return f"{self._name}={value}; Max-Age={age_seconds}; {self._attributes}"

    def _verified(self, value: str) -> str:
        session_id, _, signature = value.rpartition("|")
        is_genuine = hmac.compare_digest(signature, self._signature(session_id))
        return session_id if is_genuine else ""

    def _signature(self, session_id: str) -> str:
        # The name is signed too, so that no other cookie signed with the secret passes for this.
        signed = f"{self._name}={session_id}".encode()
        digest = hmac.digest(self._secret.reveal().encode(), signed, hashlib.sha256)
        return urlsafe_b64encode(digest).decode().rstrip("=")
