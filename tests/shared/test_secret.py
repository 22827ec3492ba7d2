"""Passwords: argon2id, Toto's old hashes, and every text that is neither."""

import base64
import hashlib
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import argon2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toto import secret
from toto.exceptions import TotoException
from toto.secret import (
    generate_password,
    needs_rehash,
    password_hash,
    verify_dummy,
    verify_password,
)
from toto_testkit.waiting import poll_until

HASH = password_hash("correct horse")
PUBLISHED = [
    ("cloadm", "$p5k2$$exec$r1EWMCMk7Rlv3L/RNcFXviDefYa0hlql"),
    ("gnu", "$p5k2$c$u9HvcT4d$Sd1gwSVCLZYAuqZ25piRnbBEoAesaa/g"),
    ("dcl", "$p5k2$d$tUsch7fU$nqDkaxMDOFBeJsTSfABsyn.PYUXilHwL"),
    ("spam", "$p5k2$3e8$H0NX9mT/$wk/sE8vv6OMKuMaqazCJYDSUhWY9YB2J"),
]
"""The test vectors that the package pbkdf2 publishes with its function crypt."""


def old_hash(secret: bytes, iterations: str, salt: str) -> str:
    """Make a hash as the package pbkdf2 does, which takes the whole prefix for the salt."""
    whole = f"$p5k2${iterations}${salt}"
    derived = pbkdf2(secret, whole.encode(), int(iterations or "190", 16), 24)
    return f"{whole}${base64.b64encode(derived, b'./').decode()}"


def pbkdf2(secret: bytes, salt: bytes, iterations: int, length: int) -> bytes:
    """Compute PBKDF2-HMAC-SHA1 (RFC 8018, 5.2) step by step."""
    derived = b""
    for block in (1, 2):
        last = hmac_sha1(secret, salt + block.to_bytes(4, "big"))
        total = int.from_bytes(last)
        for _ in range(iterations - 1):
            last = hmac_sha1(secret, last)
            total ^= int.from_bytes(last)
        derived += total.to_bytes(20)
    return derived[:length]


def hmac_sha1(key: bytes, message: bytes) -> bytes:
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha1(bytes(byte ^ 0x36 for byte in padded) + message).digest()  # noqa: S324
    return hashlib.sha1(bytes(byte ^ 0x5C for byte in padded) + inner).digest()  # noqa: S324


def test_row_21_new_hashes_are_argon2id() -> None:
    """The parameters are OWASP's, the salt is new each time, and only the password verifies."""
    assert HASH.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert password_hash("correct horse") != HASH
    assert verify_password("correct horse", HASH) is True
    assert verify_password("correct horsf", HASH) is False
    assert verify_password("", HASH) is False
    assert not needs_rehash(HASH)


def test_a_hash_of_another_argon2_verifies() -> None:
    """The hash is what RFC 9106 says, so that other programs can make and check it."""
    low_level = argon2.low_level.hash_secret(
        b"correct horse", b"saltsaltsaltsalt", 3, 1024, 2, 16, argon2.Type.ID
    ).decode()

    assert verify_password("correct horse", low_level)
    assert not verify_password("wrong horse", low_level)
    assert needs_rehash(low_level)


@pytest.mark.parametrize(("secret", "pwhash"), PUBLISHED)
def test_row_21_totos_hashes_verify(secret: str, pwhash: str) -> None:
    """Hashes of the package pbkdf2 are read, to be replaced by new ones."""
    assert verify_password(secret, pwhash) is True
    assert verify_password(secret + "x", pwhash) is False
    assert verify_password(secret, pwhash[:-1] + ("A" if pwhash[-1] != "A" else "B")) is False
    assert needs_rehash(pwhash)


@pytest.mark.parametrize("iterations", ["", "1", "2", "ff", "190"])
@pytest.mark.parametrize("secret", ["s", "pässwörd", "日本語"])
def test_row_21_totos_hashes_are_pbkdf2_with_the_whole_prefix(secret: str, iterations: str) -> None:
    """Computed here from HMAC up; no number of iterations means 400."""
    pwhash = old_hash(secret.encode(), iterations, "sAlt./09")

    assert verify_password(secret, pwhash)
    assert not verify_password(secret + "x", pwhash)


@pytest.mark.parametrize(
    ("secret", "salt", "iterations", "expected"),
    [
        (b"password", b"salt", 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
        (b"password", b"salt", 2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"),
        (
            b"passwordPASSWORDpassword",
            b"saltSALTsaltSALTsaltSALTsaltSALTsalt",
            4096,
            "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038",
        ),
        (b"pass\0word", b"sa\0lt", 4096, "56fa6aa75548099dcc37d7f03425e0c3"),
    ],
)
def test_the_computation_here_is_pbkdf2(
    secret: bytes, salt: bytes, iterations: int, expected: str
) -> None:
    """The helper above gives the vectors of RFC 6070."""
    assert pbkdf2(secret, salt, iterations, len(expected) // 2).hex() == expected


def test_row_21_passwords_are_nfc() -> None:
    """The same text in composed and decomposed form is one password, in new hashes and old."""
    composed, decomposed = "p\u00e4ss", "pa\u0308ss"

    assert verify_password(decomposed, password_hash(composed))
    assert verify_password(composed, password_hash(decomposed))
    assert not verify_password("pass", password_hash(composed))
    assert verify_password(decomposed, old_hash(composed.encode(), "1", "s"))
    assert verify_password(decomposed, old_hash(decomposed.encode(), "1", "s"))


@pytest.mark.parametrize("secret", ["a" * 1024, "\u00e4" * 512, "a\u0308" * 512])
def test_row_21_no_password_is_cut(secret: str) -> None:
    """Of 1024 bytes the last counts."""
    pwhash = password_hash(secret)

    assert verify_password(secret, pwhash)
    assert not verify_password(secret[:-1] + "b", pwhash)
    assert not verify_password(secret[:-1], pwhash)


@pytest.mark.parametrize("secret", ["a" * 1025, "\u00e4" * 513, "a" * 10_000_000, "\ud800"])
def test_row_21_what_is_too_long_is_refused(secret: str) -> None:
    """Beyond 1024 bytes there is no password, nor in text that has no bytes."""
    with pytest.raises(ValueError, match=r"1024 bytes|surrogates"):
        password_hash(secret)
    assert verify_password(secret, HASH) is False


@pytest.mark.parametrize("secret", [None, b"correct horse", 7, ["correct horse"]])
def test_passwords_are_text(secret: str) -> None:
    """Bytes and other values are an error of the caller, and verify with nothing."""
    with pytest.raises(TypeError, match="must be text"):
        password_hash(secret)
    assert verify_password(secret, HASH) is False


@pytest.mark.parametrize(
    "pwhash",
    [
        "",
        "correct horse",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
        HASH.replace("argon2id", "argon2i"),
        HASH.replace("v=19", "v=16"),
        HASH[:-5],
        HASH + "\n",
        HASH + "ü",
        HASH.replace("m=19456", "m=9999999"),
        HASH.replace("m=19456,t=2", "m=1048576,t=99"),
        "$p5k2$$exec$",
        "$p5k2$0$exec$r1EWMCMk7Rlv3L/RNcFXviDefYa0hlql",
        "$p5k2$01$exec$r1EWMCMk7Rlv3L/RNcFXviDefYa0hlql",
        "$p5k2$C$u9HvcT4d$Sd1gwSVCLZYAuqZ25piRnbBEoAesaa/g",
        "$p5k2$c$u9-vcT4d$Sd1gwSVCLZYAuqZ25piRnbBEoAesaa/g",
        "$p5k2$c$u9HvcT4d$Sd1gwSVCLZYAuqZ25piRnbBEoAesaa/g\n",
        "$p5k2$400001$u9HvcT4d$Sd1gwSVCLZYAuqZ25piRnbBEoAesaa/g",
        "$p5k2$ffffffffffff$u9HvcT4d$Sd1gwSVCLZYAuqZ25piRnbBEoAesaa/g",
    ],
    ids=map(str, itertools.count()),  # with its salt HASH is another one in each process
)
def test_unknown_hashes_verify_nothing(pwhash: str) -> None:
    """A hash that is of no known form, or would take for ever, is never right."""
    start = time.monotonic()

    assert verify_password("correct horse", pwhash) is False
    assert verify_password("gnu", pwhash) is False
    assert needs_rehash(pwhash)
    assert time.monotonic() - start < 5


@settings(max_examples=30, deadline=None)
@given(
    secret=st.text(st.characters(exclude_categories=[])),
    pwhash=st.text(st.characters(exclude_categories=[]))
    | st.from_regex(r"\$argon2id\$v=19\$m=[0-9]{1,3},t=[0-9],p=[0-9]\$[a-z]*\$[a-z]*\Z")
    | st.from_regex(r"\$p5k2\$[0-9a-f]{0,2}\$[a-z]*\$[A-Za-z0-9./]{32}\Z"),
)
def test_no_password_and_no_hash_is_an_error(secret: str, pwhash: str) -> None:
    """Any two texts are compared without an exception."""
    assert verify_password(secret, pwhash) is False
    assert needs_rehash(pwhash)


def seconds_of(call: Callable[[], object]) -> float:
    """Return the processor time of a call, the least of five."""
    times = []
    for _ in range(5):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return min(times)


def test_row_22_every_refusal_takes_the_time_of_a_real_one() -> None:
    """An unknown user, an old hash and no hash cost as much as a wrong password."""
    real = seconds_of(lambda: verify_password("wrong", HASH))
    refusals = [
        seconds_of(lambda: verify_dummy("wrong")),
        seconds_of(lambda: verify_password("wrong", PUBLISHED[0][1])),
        seconds_of(lambda: verify_password("wrong", "unknown")),
    ]

    assert [0.5 < refusal / real < 2 for refusal in refusals] == [True] * 3


def test_row_20_generated_passwords_are_random() -> None:
    """They have 128 bits, in 22 characters, and no two are alike."""
    made = [generate_password() for _ in range(1000)]

    assert len(set(made)) == 1000
    assert {len(password) for password in made} == {22}
    assert len(base64.urlsafe_b64decode(made[0] + "==")) == 16


def test_row_21_two_passwords_are_hashed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two run, sixteen wait, and whoever comes then is refused for a second."""
    running: list[int] = []
    most: list[int] = []
    gate = threading.Event()

    class Held(argon2.PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            running.append(1)
            most.append(len(running))
            assert gate.wait(20)
            made = super().hash(password, salt=salt)
            running.pop()
            return made

    monkeypatch.setattr(secret, "_HASHER", Held())
    with ThreadPoolExecutor(18) as pool:
        hashes = [pool.submit(password_hash, str(number)) for number in range(18)]
        try:
            poll_until(lambda: secret._ADMITTED._value == 0, 10.0, "all have been admitted")
            for refused in (password_hash, verify_dummy):
                with pytest.raises(TotoException) as raised:
                    refused("one too many")
                assert raised.value.code == 1103
                assert getattr(raised.value, "retry_after_seconds", None) == 1.0
        finally:
            gate.set()
        made = [each.result() for each in hashes]
    monkeypatch.undo()

    assert max(most) == 2
    assert verify_password("17", made[17])
