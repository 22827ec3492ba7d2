"""Cross-origin answers (Fetch standard): which pages of other origins may call."""

__all__ = ["CorsPolicy"]

ALLOW_METHODS = "POST, GET, HEAD, OPTIONS"
ALLOW_HEADERS = (
    "x-toto-hmac, x-toto-session-id, origin, content-type, x-request-id, idempotency-key, "
    "traceparent"
)
EXPOSE_HEADERS = "x-toto-hmac, x-request-id, retry-after"
PREFLIGHT_SECONDS = 600


class CorsPolicy:
    """Answers for the option ``allow_origin``.

    Args:
        allow_origin: empty (no other origin), ``*``, or origins separated by commas.
    """

    def __init__(self, allow_origin: str) -> None:
        self._origins = frozenset(o.strip().lower() for o in allow_origin.split(",") if o.strip())
        self._allows_all = "*" in self._origins

    def headers(self, origin: str) -> list[tuple[str, str]]:
        """Return the headers every answer to a page of ``origin`` carries."""
        if self._allows_all:
            allowed = [("Access-Control-Allow-Origin", "*")]
        elif not self._origins:
            return []
        elif origin.lower() in self._origins:
            allowed = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        else:
            return [("Vary", "Origin")]
        return [*allowed, ("Access-Control-Expose-Headers", EXPOSE_HEADERS)]

    def preflight_headers(self, origin: str) -> list[tuple[str, str]]:
        """Return the headers of the answer to OPTIONS."""
        headers = self.headers(origin)
        if any(name == "Access-Control-Allow-Origin" for name, _ in headers):
            headers += [
                ("Access-Control-Allow-Methods", ALLOW_METHODS),
                ("Access-Control-Allow-Headers", ALLOW_HEADERS),
                ("Access-Control-Max-Age", str(PREFLIGHT_SECONDS)),
            ]
        return [*headers, ("Allow", ALLOW_METHODS)]
