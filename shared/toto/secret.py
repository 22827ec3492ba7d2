"""Passwords: hashing, checking and making them.

New hashes are argon2id (RFC 9106). Hashes that Toto made with the package ``pbkdf2``
(``$p5k2$iterations$salt$hash``) are still verified; ``needs_rehash`` tells that they are to be
replaced at the next login.
"""

import hashlib
import hmac
import re
import secrets
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

import argon2
from argon2.exceptions import VerificationError

from toto.exceptions import ERROR_OVERLOADED, TotoException

__all__ = [
    "HASHES_AT_ONCE",
    "HASHES_WAITING_MAX",
    "PASSWORD_BYTES_MAX",
    "TooManyHashes",
    "generate_password",
    "needs_rehash",
    "password_hash",
    "verify_dummy",
    "verify_password",
]

PASSWORD_BYTES_MAX = 1024
"""Of the UTF-8 of a password; longer ones are refused, never cut."""
HASHES_AT_ONCE = 2
"""Of this process: each takes 19 MiB and a core for about 30 ms, however many threads it has."""
HASHES_WAITING_MAX = 16
"""Beyond, a caller is refused: the last in the queue waits a quarter of a second already."""

# OWASP Password Storage Cheat Sheet: m=19456 KiB, t=2, p=1.
_HASHER = argon2.PasswordHasher(
    time_cost=2, memory_cost=19456, parallelism=1, hash_len=32, salt_len=16, type=argon2.Type.ID
)
# Of random bytes that nobody has kept.
_DUMMY_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$1Yqo1arwuwHcyyfk8uMcIg"
    "$h2j0A+Lq9cJWmO7MV3g+aiut2JZDZVjIxGvYJD3OIEc"
)
_ARGON2ID = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,2}),p=[0-9]{1,2}(?:\$[A-Za-z0-9+/]+){2}"
)
# A stored hash must not be able to take all memory, or a minute.
_ARGON2_KIB_MAX = 2**20
_ARGON2_KIB_PASSES_MAX = 2**22
_P5K2 = re.compile(r"\$p5k2\$([1-9a-f][0-9a-f]{0,5})?\$[A-Za-z0-9./]{0,64}\$[A-Za-z0-9./]{32}")
_P5K2_ITERATIONS = 400
_P5K2_ITERATIONS_MAX = 2**22
_P5K2_BYTES = 24
_HASH_LENGTH_MAX = 512
_NORMALISED_CHARACTERS_MAX = 4 * PASSWORD_BYTES_MAX
# It is the process's memory and cores that are shared out, so its modules share these.
_ADMITTED = threading.BoundedSemaphore(HASHES_AT_ONCE + HASHES_WAITING_MAX)
_HASHING = threading.BoundedSemaphore(HASHES_AT_ONCE)


class TooManyHashes(TotoException):
    """So many passwords are being hashed that another one would have to wait too long."""

    def __init__(self) -> None:
        super().__init__(ERROR_OVERLOADED, "Too many logins at once; try again in a second.")
        self.retry_after_seconds = 1.0


def password_hash(secret: str) -> str:
    """Return the argon2id hash of a password, with a salt of its own; takes about 30 ms.

    Args:
        secret: the password; the same text in another Unicode form is the same password (NFC).

    Raises:
        TypeError: the password is not text.
        ValueError: it is longer than 1024 bytes, or no valid text.
        TooManyHashes: 16 others are waiting already.
    """
    normalised = _normalised(secret)
    with _turn_to_hash():
        return _HASHER.hash(normalised)


def verify_password(secret: str, pwhash: str) -> bool:
    """Tell whether a password is the one of a hash.

    A refusal takes as long as for a hash of now, whatever the hash is: the time must not tell
    which accounts exist.

    Args:
        secret: any text; one that cannot be a password is never right.
        pwhash: from ``password_hash`` or from Toto; anything else is never right.

    Raises:
        TooManyHashes: 16 others are waiting already.
    """
    try:
        normalised = _normalised(secret)
    except (TypeError, ValueError):
        return False
    if _is_argon2id(pwhash):
        return _is_hashed_to(normalised, pwhash)
    # Of an old account the hash is of the text as it was typed, in whichever Unicode form.
    if any(_is_p5k2_of(each, pwhash) for each in {normalised, secret.encode()}):
        return True
    _is_hashed_to(normalised, _DUMMY_HASH)
    return False


def needs_rehash(pwhash: str) -> bool:
    """Tell whether a hash is not as ``password_hash`` makes them now."""
    return not _is_argon2id(pwhash) or _HASHER.check_needs_rehash(pwhash)


def verify_dummy(secret: str) -> None:
    """Take the time of ``verify_password``, for a user who does not exist."""
    verify_password(secret, _DUMMY_HASH)


def generate_password() -> str:
    """Return a new password: 22 URL-safe characters from 16 random bytes."""
    return secrets.token_urlsafe(16)


def _normalised(secret: str) -> bytes:
    if not isinstance(secret, str):
        raise TypeError("a password must be text")
    if len(secret) <= _NORMALISED_CHARACTERS_MAX:
        normalised = unicodedata.normalize("NFC", secret).encode()
        if len(normalised) <= PASSWORD_BYTES_MAX:
            return normalised
    raise ValueError(f"a password may have {PASSWORD_BYTES_MAX} bytes at most")


def _is_argon2id(pwhash: str) -> bool:
    match = _ARGON2ID.fullmatch(pwhash) if len(pwhash) <= _HASH_LENGTH_MAX else None
    if match is None:
        return False
    memory_kib, passes = int(match[1]), int(match[2])
    return memory_kib <= _ARGON2_KIB_MAX and memory_kib * passes <= _ARGON2_KIB_PASSES_MAX


def _is_hashed_to(password: bytes, pwhash: str) -> bool:
    with _turn_to_hash():
        try:
            return _HASHER.verify(pwhash, password)
        except VerificationError:
            return False


@contextmanager
def _turn_to_hash() -> Iterator[None]:
    if not _ADMITTED.acquire(blocking=False):
        raise TooManyHashes
    try:
        with _HASHING:
            yield
    finally:
        _ADMITTED.release()


def _is_p5k2_of(password: bytes, pwhash: str) -> bool:
    match = _P5K2.fullmatch(pwhash)
    if match is None:
        return False
    iterations = int(match[1], 16) if match[1] else _P5K2_ITERATIONS
    if iterations > _P5K2_ITERATIONS_MAX:
        return False
    salt, _, stored = pwhash.rpartition("$")
    # What the package feeds to PBKDF2 is not the salt but all that stands before the hash.
    derived = hashlib.pbkdf2_hmac("sha1", password, salt.encode(), iterations, _P5K2_BYTES)
    return hmac.compare_digest(b64encode(derived, b"./"), stored.encode())
