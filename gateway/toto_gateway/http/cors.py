"""Cross-origin answers (Fetch standard): which pages of other origins may call."""

from toto_gateway.origins import listed_origins, normal_origin

__all__ = ["CorsPolicy"]

ALLOW_METHODS = "POST, GET, HEAD, OPTIONS"
ALLOW_HEADERS = (
    "x-toto-hmac, x-toto-session-id, origin, content-type, x-request-id, idempotency-key, "
    "traceparent"
)
NONCE_HEADERS = ", x-toto-timestamp, x-toto-nonce"
EXPOSE_HEADERS = "x-toto-hmac, x-request-id, retry-after"
PREFLIGHT_SECONDS = 600


class CorsPolicy:
    """Answers for the option ``allow_origin``.

    Args:
        allow_origin: empty (no other origin), ``*``, or origins separated by commas.
        with_credentials: let pages of the listed origins send the session's cookie.
        with_nonces: let them send the further headers of ``hmac_scheme = "v2"``.
    """

    def __init__(
        self, allow_origin: str, *, with_credentials: bool = False, with_nonces: bool = False
    ) -> None:
        self._with_credentials = with_credentials
        self._allow_headers = ALLOW_HEADERS + (NONCE_HEADERS if with_nonces else "")
        self._origins = listed_origins(allow_origin)
        self._allows_all = "*" in self._origins

    def headers(self, origin: str) -> list[tuple[str, str]]:
        """Return the headers every answer to a page of ``origin`` carries."""
        if self._allows_all:
            allowed = [("Access-Control-Allow-Origin", "*")]
        elif not self._origins:
            return []
        elif normal_origin(origin) in self._origins:
            allowed = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
            if self._with_credentials:
                allowed.append(("Access-Control-Allow-Credentials", "true"))
        else:
            return [("Vary", "Origin")]
        return [*allowed, ("Access-Control-Expose-Headers", EXPOSE_HEADERS)]

    def preflight_headers(self, origin: str) -> list[tuple[str, str]]:
        """Return the headers of the answer to OPTIONS."""
        headers = self.headers(origin)
        if any(name == "Access-Control-Allow-Origin" for name, _ in headers):
            headers += [
                ("Access-Control-Allow-Methods", ALLOW_METHODS),
                ("Access-Control-Allow-Headers", self._allow_headers),
                ("Access-Control-Max-Age", str(PREFLIGHT_SECONDS)),
            ]
        return [*headers, ("Allow", ALLOW_METHODS)]
