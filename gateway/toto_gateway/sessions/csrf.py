"""Refuses calls that a page of another site makes with the visitor's cookie.

A browser sends the cookie along with what any page does, so in cookie mode a call must show where
it comes from: by Fetch Metadata (W3C), by Origin (RFC 6454), or by not being a browser's at all.
See the OWASP cheat sheet on cross-site request forgery.
"""

from enum import Enum

from toto._core.formats.registry import MSGPACK_ALIASES
from toto_gateway.origins import NO_ORIGIN, listed_origins, normal_origin
from toto_gateway.request import Request

__all__ = ["CsrfPolicy", "CsrfProblem"]

_MEDIA_TYPES = frozenset(
    {"application/json", "application/msgpack", "application/bson", *MSGPACK_ALIASES}
)
"""Those that a page can send to another site only after a preflight request."""
_OWN_SITES = frozenset({"same-origin", "none"})


class CsrfProblem(Enum):
    """Why a call is refused, and the sentence that says so."""

    VERB = "With cookies, methods are called by POST only."
    """405, with Allow: POST, OPTIONS."""
    CONTENT_TYPE = "With cookies, a call must have the content type of its JSON, msgpack or BSON."
    """415."""
    ORIGIN = "This page may not call methods here."
    """403."""


class CsrfPolicy:
    """Judges requests in cookie mode, those without a session too: a login can be forged as well.

    Args:
        allow_origin: the option: origins separated by commas that may call besides the gateway's
            own. ``*`` and ``null`` allow nobody.
    """

    def __init__(self, allow_origin: str) -> None:
        self._origins = listed_origins(allow_origin) - {"*", NO_ORIGIN}

    def problem(self, request: Request) -> CsrfProblem | None:
        """Return why a request is refused, or None when it may go on."""
        if request.verb == "OPTIONS":
            return None  # runs nothing
        if request.verb != "POST":
            return CsrfProblem.VERB
        media_type = request.header("content-type").partition(";")[0]
        if media_type.strip().lower() not in _MEDIA_TYPES:
            return CsrfProblem.CONTENT_TYPE
        return None if self._is_own_or_allowed(request) else CsrfProblem.ORIGIN

    def allows_origin(self, request: Request) -> bool:
        """Tell whether the page that sends a request, if it names one, is the gateway's own or one
        of the option's."""
        origin = normal_origin(request.header("origin"))
        if not origin or origin in self._origins:
            return True
        return _is_origin_of(origin, request.header("host"))

    def _is_own_or_allowed(self, request: Request) -> bool:
        if normal_origin(request.header("origin")) in self._origins:
            return True
        site = request.header("sec-fetch-site").strip().lower()
        return (not site or site in _OWN_SITES) and self.allows_origin(request)


def _is_origin_of(origin: str, host: str) -> bool:
    """Tell whether an origin names the host that was called; a proxy may have ended the TLS."""
    scheme, host = origin.partition("://")[0], host.strip()
    return (
        bool(host) and scheme in ("http", "https") and origin == normal_origin(f"{scheme}://{host}")
    )
