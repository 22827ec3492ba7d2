"""Where a request's body ends (RFC 9112, 6): headers that leave it in doubt are refused.

A proxy in front may read such a request differently from us, and what one takes for a body the
other takes for the next request: request smuggling.
"""

import re
from collections.abc import Mapping

__all__ = ["body_length", "framing_problem"]

_LENGTH = re.compile(r"[0-9]{1,18}")


def framing_problem(headers: Mapping[str, str]) -> str | None:
    """Return what is wrong with the headers that say how long the body is, or None.

    Args:
        headers: by any case; repeated headers joined by commas.
    """
    length = headers.get("Content-Length")
    encoding = headers.get("Transfer-Encoding")
    if encoding is not None:
        if length is not None:
            return "the body has both a length and an encoding"
        return None if encoding.lower() == "chunked" else "the transfer encoding is not supported"
    if length is None or _LENGTH.fullmatch(length):
        return None
    parts = [part.strip() for part in length.split(",")]
    is_repeated = len(set(parts)) == 1 and _LENGTH.fullmatch(parts[0])
    return None if is_repeated else "the content length is not one number"


def body_length(headers: Mapping[str, str]) -> int:
    """Return the length that headers without a problem announce; 0 if they announce none."""
    return int(headers.get("Content-Length", "0").split(",")[0])
