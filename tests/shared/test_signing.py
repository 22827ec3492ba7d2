"""Signatures: fixed vectors, an independent computation, every flipped bit, any header at all."""

import hashlib
import hmac
import json
import struct
from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toto._core.signing import (
    CLOCK_WINDOW_SECONDS,
    NONCE_TTL_SECONDS,
    SignatureHeaders,
    Verdict,
    Verification,
    nonce_key,
    sign_response_v1,
    sign_response_v2,
    sign_v1,
    sign_v2,
    verify_v1,
    verify_v2,
)
from toto_testkit.processes import REPOSITORY

KEY = "Xk3v0cUW1tJ0i9nQmB7y2aZs5dRfGhLpTeVoNuCxYq8"
VERB, URI, BODY = "POST", "/a/b?c=d&e=%C3%BC", b'{"parameters":[1,2]}\n'
TYPE = "application/json"
NOW, STAMP, NONCE = 1_760_000_000.0, "1760000000", "n0n3-_ABCDEFGHIJKLMNOP"
VECTORS: list[dict[str, Any]] = json.loads(
    (REPOSITORY / "docs" / "signing-vectors.json").read_text()
)

texts = st.text(st.characters(max_codepoint=0xFF), max_size=40)
any_text = st.text(st.characters(exclude_categories=[]), max_size=80)
nonces = st.from_regex(r"[A-Za-z0-9_-]{16,64}", fullmatch=True)


def mac(algorithm: str, key: str, message: bytes) -> str:
    return b64encode(hmac.new(key.encode(), message, algorithm).digest()).decode()


def prefixed(*fields: bytes) -> bytes:
    return b"".join(struct.pack(">Q", len(field)) + field for field in fields)


def request_hmac(case: dict[str, Any]) -> str:
    """Compute a request's signature as docs/signing.md says, not as the code does."""
    body = b64decode(case["body_base64"])
    if case["scheme"] == "v1":
        return mac("sha1", case["key"], f"{case['verb']}{case['uri']}".encode() + body)
    names = ("timestamp", "nonce", "verb", "uri", "content_type")
    fields = [str(case[name]).encode() for name in names]
    return mac("sha256", case["key"], prefixed(*fields, hashlib.sha256(body).digest()))


def response_hmac(case: dict[str, Any]) -> str:
    """Compute a response's signature as docs/signing.md says."""
    body, session_id = b64decode(case["response_body_base64"]), case["session_id"].encode()
    if case["scheme"] == "v1":
        return mac("sha1", case["key"], session_id + body)
    return mac("sha256", case["key"], prefixed(case["nonce"].encode(), session_id, body))


def flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position // 8 % len(data)] ^= 1 << position % 8
    return bytes(changed)


def flipped_text(text: str, position: int) -> str:
    return flipped(text.encode("latin-1"), position).decode("latin-1")


def signed_v2(**changes: str) -> SignatureHeaders:
    """Return the headers of the sample request, some of them changed after it was signed."""
    signature = sign_v2(KEY, STAMP, NONCE, VERB, URI, TYPE, BODY)
    return SignatureHeaders(STAMP, NONCE, signature)._replace(**changes)


def check_v2(headers: SignatureHeaders, now: float = NOW) -> Verification:
    return verify_v2(KEY, headers, VERB, URI, TYPE, BODY, now)


def test_row_09_10_signatures_are_those_of_totos_code() -> None:
    """The session key signs verb, uri and body; it is not the user id that signs the body."""
    assert sign_v1("key", "POST", "/", b"body") == "QWXFSRDzfthSrmdYwU3igxktxjQ="
    assert sign_v1(KEY, VERB, URI, BODY) == mac("sha1", KEY, b"POST/a/b?c=d&e=%C3%BC" + BODY)
    assert sign_response_v1("key", "id", b"body") == mac("sha1", "key", b"idbody")


def test_the_hmacs_are_those_of_the_rfc() -> None:
    """RFC 2202, case 2 of HMAC-SHA1, split in three as a request is."""
    digest = b64encode(bytes.fromhex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")).decode()

    assert sign_v1("Jefe", "what do ", "ya want ", b"for nothing?") == digest
    assert verify_v1("Jefe", "what do ", "ya want ", b"for nothing?", digest)
    assert sign_response_v1("Jefe", "what do ya want ", b"for nothing?") == digest


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_the_published_vectors_are_true(case: dict[str, Any]) -> None:
    """The file for client authors agrees with the code and with an independent computation."""
    body, response = b64decode(case["body_base64"]), b64decode(case["response_body_base64"])
    key, session_id, given = case["key"], case["session_id"], case["request_hmac"]
    verb, uri, content_type = case["verb"], case["uri"], case["content_type"]

    assert request_hmac(case) == given
    assert response_hmac(case) == case["response_hmac"]
    if case["scheme"] == "v1":
        assert sign_v1(key, verb, uri, body) == given
        assert verify_v1(key, verb, uri, body, given)
        assert sign_response_v1(key, session_id, response) == case["response_hmac"]
    else:
        stamp, nonce = str(case["timestamp"]), case["nonce"]
        headers = SignatureHeaders(stamp, nonce, given)
        now = float(case["timestamp"])
        assert sign_v2(key, stamp, nonce, verb, uri, content_type, body) == given
        assert verify_v2(key, headers, verb, uri, content_type, body, now).is_ok
        assert sign_response_v2(key, nonce, session_id, response) == case["response_hmac"]


def test_the_vectors_cover_what_goes_wrong() -> None:
    """Both schemes have an escaped uri, a query, an empty body and one that is no text."""
    for scheme in ("v1", "v2"):
        cases = [case for case in VECTORS if case["scheme"] == scheme]
        assert any("%" in case["uri"] for case in cases)
        assert any("?" in case["uri"] for case in cases)
        assert any(case["body_base64"] == "" for case in cases)
        assert any(b"\xff" in b64decode(case["body_base64"]) for case in cases)
    assert [set(case) for case in VECTORS] == [set(VECTORS[0])] * len(VECTORS)


@given(key=texts, verb=texts, uri=texts, body=st.binary(max_size=40))
def test_v1_verifies_what_it_signs(key: str, verb: str, uri: str, body: bytes) -> None:
    """Any request that can be received can be signed."""
    assert verify_v1(key, verb, uri, body, sign_v1(key, verb, uri, body))


@given(position=st.integers(0, 10_000), part=st.sampled_from(["verb", "uri", "body", "given"]))
def test_v1_refuses_any_flipped_bit(position: int, part: str) -> None:
    """One bit of verb, uri, body or header is enough."""
    parts: dict[str, Any] = {"verb": VERB, "uri": URI, "body": BODY}
    parts["given"] = sign_v1(KEY, **parts)
    change = flipped if part == "body" else flipped_text
    parts[part] = change(parts[part], position)

    assert not verify_v1(KEY, **parts)
    assert not verify_v1("another key", VERB, URI, BODY, sign_v1(KEY, VERB, URI, BODY))


@example(given="\ud800")
@example(given="ü" * 28)
@given(given=any_text | st.binary(max_size=40).map(lambda data: b64encode(data).decode()))
def test_row_05_any_header_text_is_refused_without_an_error(given: str) -> None:
    """No header makes the check raise: not non-ASCII, lone surrogates, bad base64 or a length."""
    assert verify_v1(KEY, VERB, URI, BODY, given) is False
    assert check_v2(signed_v2(hmac=given)).verdict is Verdict.BAD_SIGNATURE


@given(verb=any_text, uri=any_text)
def test_any_verb_and_uri_are_refused_without_an_error(verb: str, uri: str) -> None:
    """Text that no request line can hold is a wrong signature, not a crash."""
    assert not verify_v1(KEY, verb, uri, b"", "x")
    assert not verify_v2(KEY, signed_v2(), verb, uri, TYPE, BODY, NOW).is_ok


def test_a_signature_has_one_spelling() -> None:
    """Other base64 of the same digest is refused: no padding, URL-safe, white space."""
    signature = sign_v1(KEY, VERB, URI, BODY)

    for other in (signature.rstrip("="), signature + "\n", signature + "=", " " + signature):
        assert not verify_v1(KEY, VERB, URI, BODY, other)


def test_a_uri_that_cannot_be_sent_is_not_signed() -> None:
    """A client that forgot to percent-encode is told so at once."""
    with pytest.raises(ValueError, match="ordinal not in range"):
        sign_v1(KEY, "GET", "/日本", b"")


@given(
    stamp=st.integers(0, 2**53),
    nonce=nonces,
    request=st.tuples(texts, texts, texts, st.binary(max_size=40)),
)
def test_v2_verifies_what_it_signs(
    stamp: int, nonce: str, request: tuple[str, str, str, bytes]
) -> None:
    """Any request that can be received can be signed."""
    signature = sign_v2(KEY, str(stamp), nonce, *request)
    headers = SignatureHeaders(str(stamp), nonce, signature)

    assert verify_v2(KEY, headers, *request, float(stamp)) == (Verdict.OK, 0)


@given(
    position=st.integers(0, 10_000),
    part=st.sampled_from(["timestamp", "nonce", "hmac", "verb", "uri", "content_type", "body"]),
)
def test_row_09_v2_refuses_any_flipped_bit(position: int, part: str) -> None:
    """One bit of what is signed, content type included, is enough, and tells no clock offset."""
    parts: dict[str, Any] = {"verb": VERB, "uri": URI, "content_type": TYPE, "body": BODY}
    headers = signed_v2()
    if part in parts:
        parts[part] = (flipped if part == "body" else flipped_text)(parts[part], position)
    else:
        headers = headers._replace(**{part: flipped_text(getattr(headers, part), position)})

    verification = verify_v2(KEY, headers, **parts, now=NOW)

    assert verification.verdict in (Verdict.BAD_SIGNATURE, Verdict.MALFORMED)
    assert verification.clock_offset_seconds == 0


def test_row_09_v2_has_no_two_requests_of_the_same_bytes() -> None:
    """A byte moved from one field to the next is another signature; in v1 it is not."""
    assert sign_v1(KEY, "POST", "/a", b"b") == sign_v1(KEY, "POST", "/ab", b"")
    assert sign_v2(KEY, STAMP, NONCE, "POST", "/a", "b", b"") != sign_v2(
        KEY, STAMP, NONCE, "POST", "/ab", "", b""
    )


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (1_760_000_000.0, (Verdict.OK, 0)),
        (1_760_000_300.4, (Verdict.OK, -300)),
        (1_759_999_699.6, (Verdict.OK, 300)),
        (1_760_000_301.0, (Verdict.CLOCK_OFF, -301)),
        (1_759_999_699.0, (Verdict.CLOCK_OFF, 301)),
        (0.0, (Verdict.CLOCK_OFF, 1_760_000_000)),
    ],
)
def test_row_09_v2_refuses_old_requests(now: float, expected: tuple[Verdict, int]) -> None:
    """A right signature counts for five minutes either way; after that the offset is told."""
    assert check_v2(signed_v2(), now) == expected


def test_the_clock_offset_is_told_to_holders_of_the_key_only() -> None:
    """A wrong signature at a wrong time is a wrong signature and nothing more."""
    assert check_v2(signed_v2(hmac="x" * 44), NOW + 5000) == (Verdict.BAD_SIGNATURE, 0)
    assert check_v2(signed_v2(timestamp="1"), NOW) == (Verdict.BAD_SIGNATURE, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp": None},
        {"nonce": None},
        {"hmac": None},
        {"timestamp": ""},
        {"timestamp": "-1"},
        {"timestamp": " 1760000000"},
        {"timestamp": "1760000000.5"},
        {"timestamp": "1760000000\n"},
        {"timestamp": "1\uff17" + "0" * 8},
        {"timestamp": "1" * 17},
        {"nonce": "n" * 15},
        {"nonce": "n" * 65},
        {"nonce": "n" * 16 + "\n"},
        {"nonce": "n" * 16 + "="},
        {"nonce": "ü" * 16},
    ],
)
def test_v2_tells_malformed_headers(changes: dict[str, Any]) -> None:
    """A header that is missing or not of its form is told apart from a wrong signature."""
    assert check_v2(signed_v2(**changes)) == (Verdict.MALFORMED, 0)


@given(timestamp=any_text, nonce=any_text, signature=any_text)
def test_v2_takes_any_header_text_without_an_error(
    timestamp: str, nonce: str, signature: str
) -> None:
    """Garbage in all three headers is malformed or wrong."""
    headers = SignatureHeaders(timestamp, nonce, signature)

    assert not check_v2(headers).is_ok


def test_a_v2_response_belongs_to_its_request() -> None:
    """Another nonce, session or body is another signature."""
    signature = sign_response_v2(KEY, NONCE, "session", b"body")

    assert signature == mac("sha256", KEY, prefixed(NONCE.encode(), b"session", b"body"))
    assert signature != sign_response_v2(KEY, NONCE[::-1], "session", b"body")
    assert signature != sign_response_v2(KEY, NONCE, "sessio", b"nbody")


def test_nonces_are_remembered_under_a_name_of_their_own() -> None:
    """The name differs with session and nonce, case included, and outlives the window."""
    name = nonce_key(b"\x01" * 32, NONCE)

    assert name == "nonce:" + hashlib.sha256(b"\x01" * 32 + NONCE.encode()).hexdigest()
    assert nonce_key(b"\x02" * 32, NONCE) != name
    assert nonce_key(b"\x01" * 32, NONCE.lower()) != name
    assert CLOCK_WINDOW_SECONDS == 300
    assert NONCE_TTL_SECONDS > 600
