"""Signatures of requests and responses: pure functions over the bytes that are sent.

Scheme v1 is Toto's (HMAC-SHA1, RFC 2104): HMAC does not lean on what is broken in SHA-1, but v1
neither stops a replay nor covers the content type. Scheme v2 (HMAC-SHA256) does both, and ties the
response to its request. ``docs/signing.md`` tells client authors the same.
"""

import hashlib
import hmac
import re
from base64 import b64encode
from enum import Enum
from typing import NamedTuple

__all__ = [
    "CLOCK_WINDOW_SECONDS",
    "NONCE_TTL_SECONDS",
    "SignatureHeaders",
    "Verdict",
    "Verification",
    "nonce_key",
    "sign_response_v1",
    "sign_response_v2",
    "sign_v1",
    "sign_v2",
    "verify_v1",
    "verify_v2",
]

CLOCK_WINDOW_SECONDS = 300
"""How far a client's clock may be off in scheme v2, either way."""
NONCE_TTL_SECONDS = 2 * CLOCK_WINDOW_SECONDS + 60
"""How long a nonce must be remembered: the whole window, and a minute between gateways' clocks."""

_TIMESTAMP = re.compile(r"[0-9]{1,16}")
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_LENGTH_BYTES = 8


class Verdict(Enum):
    """What came of checking a signature."""

    OK = "ok"
    BAD_SIGNATURE = "bad signature"
    CLOCK_OFF = "clock off"
    """Rightly signed, at a time outside the window."""
    MALFORMED = "malformed"
    """A header is missing or is not what it must be."""


class Verification(NamedTuple):
    """The outcome of a check of scheme v2; the nonce is still to be looked up."""

    verdict: Verdict
    clock_offset_seconds: int = 0
    """Client's clock less ours. Zero unless the signature is right: only who has the key learns
    it."""

    @property
    def is_ok(self) -> bool:
        """Tell whether the request is rightly signed and of now."""
        return self.verdict is Verdict.OK


class SignatureHeaders(NamedTuple):
    """The headers of scheme v2 as received; None for one that is missing."""

    timestamp: str | None
    nonce: str | None
    hmac: str | None


def sign_v1(key: str, verb: str, uri: str, body: bytes) -> str:
    """Return ``x-toto-hmac`` of a request: base64 of HMAC-SHA1 over verb, uri and body.

    Args:
        key: the session's key; its UTF-8 bytes sign.
        verb: such as ``POST``.
        uri: path and query as they stand in the request line, one character a byte.
        body: the raw body, before any decoding.

    Raises:
        ValueError: the uri has characters that cannot be sent and must be percent-encoded.
    """
    return _hmac_sha1(key, _wire(verb) + _wire(uri), body)


def verify_v1(key: str, verb: str, uri: str, body: bytes, given: str) -> bool:
    """Tell whether ``given`` is the ``x-toto-hmac`` of a request, in constant time.

    Args:
        key: the session's key.
        verb: as received.
        uri: as received.
        body: as received.
        given: the header; any text.
    """
    try:
        expected = sign_v1(key, verb, uri, body)
    except ValueError:
        return False
    return _is_same(expected, given)


def sign_response_v1(key: str, session_id: str, body: bytes) -> str:
    """Return ``x-toto-hmac`` of a response: base64 of HMAC-SHA1 over session id and body.

    Args:
        key: the session's key.
        session_id: of the session that the response is for.
        body: the response's body.
    """
    return _hmac_sha1(key, session_id.encode(), body)


def sign_v2(
    key: str, timestamp: str, nonce: str, verb: str, uri: str, content_type: str, body: bytes
) -> str:
    """Return ``x-toto-hmac`` of a request in scheme v2.

    That is base64 of HMAC-SHA256 over six fields, each behind its length as eight bytes, highest
    first: no two requests have the same bytes.

    Args:
        key: the session's key; its UTF-8 bytes sign.
        timestamp: header ``x-toto-timestamp``: seconds since the epoch, decimal.
        nonce: header ``x-toto-nonce``: 16 to 64 URL-safe characters, never used before.
        verb: such as ``POST``.
        uri: path and query as they stand in the request line, one character a byte.
        content_type: the header as sent; empty without one.
        body: the raw body; its SHA-256 is signed.

    Raises:
        ValueError: a text has characters that cannot be sent.
    """
    texts = (timestamp, nonce, verb, uri, content_type)
    return _hmac_sha256(key, *map(_wire, texts), hashlib.sha256(body).digest())


def verify_v2(
    key: str,
    headers: SignatureHeaders,
    verb: str,
    uri: str,
    content_type: str,
    body: bytes,
    now: float,
) -> Verification:
    """Check a request of scheme v2, all but its nonce, in constant time.

    After ``OK`` the caller looks up the nonce under ``nonce_key`` and refuses one it has seen.

    Args:
        key: the session's key.
        headers: as received; any text.
        verb: as received.
        uri: as received.
        content_type: as received; empty without one.
        body: as received.
        now: seconds since the epoch.
    """
    timestamp, nonce, given = headers
    if timestamp is None or nonce is None or given is None:
        return Verification(Verdict.MALFORMED)
    if not _TIMESTAMP.fullmatch(timestamp) or not _NONCE.fullmatch(nonce):
        return Verification(Verdict.MALFORMED)
    try:
        expected = sign_v2(key, timestamp, nonce, verb, uri, content_type, body)
    except ValueError:
        return Verification(Verdict.BAD_SIGNATURE)
    if not _is_same(expected, given):
        return Verification(Verdict.BAD_SIGNATURE)
    offset_seconds = int(timestamp) - round(now)
    in_time = abs(offset_seconds) <= CLOCK_WINDOW_SECONDS
    return Verification(Verdict.OK if in_time else Verdict.CLOCK_OFF, offset_seconds)


def sign_response_v2(key: str, nonce: str, session_id: str, body: bytes) -> str:
    """Return ``x-toto-hmac`` of a response in scheme v2.

    Args:
        key: the session's key.
        nonce: of the request, so that no other response can take this one's place.
        session_id: of the session that the response is for.
        body: the response's body.

    Raises:
        ValueError: the nonce has characters that cannot be sent.
    """
    return _hmac_sha256(key, _wire(nonce), session_id.encode(), body)


def nonce_key(session_digest: bytes, nonce: str) -> str:
    """Return the name under which a nonce is remembered, for ``NONCE_TTL_SECONDS``.

    Args:
        session_digest: what the store knows the session by.
        nonce: of a request whose signature is right.
    """
    # A digest, since some databases compare text without regard to case.
    return f"nonce:{hashlib.sha256(session_digest + nonce.encode()).hexdigest()}"


def _wire(text: str) -> bytes:
    # Tornado gives each byte of a request's head as one character.
    return text.encode("latin-1")


def _is_same(expected: str, given: str) -> bool:
    # Text is compared, not what it decodes to: a second spelling would be a second signature.
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


def _hmac_sha1(key: str, head: bytes, body: bytes) -> str:
    mac = hmac.new(key.encode(), head, "sha1")
    mac.update(body)
    return b64encode(mac.digest()).decode()


def _hmac_sha256(key: str, *fields: bytes) -> str:
    mac = hmac.new(key.encode(), digestmod="sha256")
    for value in fields:
        mac.update(len(value).to_bytes(_LENGTH_BYTES, "big"))
        mac.update(value)
    return b64encode(mac.digest()).decode()
