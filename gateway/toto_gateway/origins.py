"""Origins of pages (RFC 6454), as ``allow_origin`` lists them and browsers send them."""

__all__ = ["NO_ORIGIN", "listed_origins", "normal_origin"]

NO_ORIGIN = "null"
"""What a browser sends for a page without an origin of its own."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def normal_origin(origin: str) -> str:
    """Return an origin as browsers write it: in lower case, without its scheme's own port."""
    origin = origin.strip().lower()
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition("://")[0], ""))


def listed_origins(allow_origin: str) -> frozenset[str]:
    """Return the origins of a list with commas; ``*`` stays what it is."""
    return frozenset(normal_origin(each) for each in allow_origin.split(",") if each.strip())
