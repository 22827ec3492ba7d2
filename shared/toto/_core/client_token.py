"""Sessions that travel in their own id: the token's bytes, its keys and its cipher. No I/O.

A token is URL-safe base64, without padding, of::

    version (1 byte) | key id (8) | what the cipher made | HMAC-SHA256 of all before it (32)

The HMAC stands outside, so that nothing is decrypted that we did not make, whatever the cipher is.
"""

import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgpack

from toto._core.stores.record import SESSION_ID_LENGTH_MAX, SessionRecord

__all__ = [
    "AESCipher",
    "Cipher",
    "TokenKey",
    "TokenKeys",
    "as_bytes",
    "hkdf_sha256",
    "token_key",
]

_VERSION = b"\x01"
_KEY_ID_BYTES = 8
_MAC_BYTES = 32
_HEAD_BYTES = len(_VERSION) + _KEY_ID_BYTES
_KEY_ID_LABEL = b"toto client token: key id"
_FIELDS = ("user_id", "created", "expires", "key", "state", "generation", "token_id")

_SALT_BYTES = 16
_GCM_KEY_BYTES = 32
_GCM_NONCE_BYTES = 12
_GCM_TAG_BYTES = 16
_GCM_LABEL = b"toto client token: AES-256-GCM"
_IV_BYTES = 16
_CIPHER_KEY_BYTES_MIN = 16


class Cipher(Protocol):
    """Hides what a token holds; an application may bring its own. Text results count as latin-1."""

    def encrypt(self, data: bytes) -> bytes | str:
        """Return the data hidden."""

    def decrypt(self, data: bytes) -> bytes | str:
        """Return what was hidden, or raise any exception."""


class TokenKey(NamedTuple):
    """What makes and reads the tokens of one key id."""

    key_id: bytes
    mac_key: bytes
    ciphers: tuple[Cipher, ...]
    """The first makes tokens; all are tried to read one."""

    def __repr__(self) -> str:
        return f"TokenKey(key_id={self.key_id.hex()!r})"


def hkdf_sha256(key: bytes, info: bytes, length: int, salt: bytes = b"") -> bytes:
    """Derive a key (HKDF, RFC 5869, with SHA-256).

    Args:
        key: the input key material.
        info: what the result is for.
        length: its bytes, at most 8160.
        salt: random bytes, not secret.
    """
    extracted = hmac.digest(salt, key, "sha256")
    block, derived = b"", b""
    for counter in range(1, -(-length // _MAC_BYTES) + 1):
        block = hmac.digest(extracted, block + info + bytes((counter,)), "sha256")
        derived += block
    return derived[:length]


def as_bytes(key: str | bytes) -> bytes:
    """Return the bytes of a key; text counts as UTF-8."""
    return key if isinstance(key, bytes) else key.encode()


def _gcm(key: bytes, salt: bytes) -> Any:
    from Crypto.Cipher import AES  # takes 0.1 s, and few services keep sessions in tokens

    return AES.new(key, AES.MODE_GCM, nonce=salt[:_GCM_NONCE_BYTES])


class AESCipher:
    """Encrypts with AES-256-GCM, each time under a key of its own; may be used by any thread.

    The key of a message is derived from ``key`` and 16 random bytes (HKDF), 12 of which are the
    nonce: under one key for all, random nonces would allow no more than 2**32 messages
    (NIST SP 800-38D, 8.3).

    Args:
        key: text or bytes, 16 or more. ``AESCipher(key, iv)`` and ``AESCipher(key + iv)`` are the
            same cipher, as in Toto.
        iv: 16 bytes, a part of the key. What Toto's own cipher made cannot be read: CBC does not
            tell whether it was changed, and inside is a pickle.

    Raises:
        ValueError: the key is too short or the iv not of 16 bytes.
    """

    def __init__(self, key: str | bytes, iv: str | bytes | None = None) -> None:
        end = as_bytes(iv) if iv is not None else b""
        if end and len(end) != _IV_BYTES:
            raise ValueError(f"the iv of an AESCipher must have {_IV_BYTES} bytes")
        self._key = as_bytes(key) + end
        if len(self._key) - len(end) < _CIPHER_KEY_BYTES_MIN:
            raise ValueError(
                f"the key of an AESCipher must have {_CIPHER_KEY_BYTES_MIN} bytes or more"
            )

    def __repr__(self) -> str:
        return "AESCipher()"

    def encrypt(self, data: bytes | str) -> bytes:
        """Return salt, encrypted data and tag; never the same twice.

        Args:
            data: bytes, or text that is taken as latin-1.
        """
        salt = os.urandom(_SALT_BYTES)
        key = hkdf_sha256(self._key, _GCM_LABEL, _GCM_KEY_BYTES, salt)
        encrypted, tag = _gcm(key, salt).encrypt_and_digest(_coerced(data))
        return b"".join((salt, encrypted, tag))

    def decrypt(self, data: bytes) -> bytes:
        """Return what ``encrypt`` was given.

        Raises:
            ValueError: these bytes were not made by ``encrypt`` with this key.
        """
        if len(data) < _SALT_BYTES + _GCM_TAG_BYTES:
            raise ValueError("too short")
        salt, tag = data[:_SALT_BYTES], data[-_GCM_TAG_BYTES:]
        encrypted = data[_SALT_BYTES:-_GCM_TAG_BYTES]
        key = hkdf_sha256(self._key, _GCM_LABEL, _GCM_KEY_BYTES, salt)
        decrypted: bytes = _gcm(key, salt).decrypt_and_verify(encrypted, tag)
        return decrypted

    def derive_key(self, info: bytes) -> bytes:
        """Return 32 bytes for another purpose, from which the key cannot be found."""
        return hkdf_sha256(self._key, info, _MAC_BYTES)


def token_key(mac_key: bytes, ciphers: Sequence[Cipher]) -> TokenKey:
    """Give a pair of keys its id.

    Args:
        mac_key: of the outer HMAC; the id is derived from it and does not tell it.
        ciphers: the first makes tokens.
    """
    return TokenKey(hkdf_sha256(mac_key, _KEY_ID_LABEL, _KEY_ID_BYTES), mac_key, tuple(ciphers))


class TokenKeys:
    """Makes tokens with the first of its keys and reads those of all.

    Args:
        keys: at least one, no two with the same id.
    """

    def __init__(self, keys: Sequence[TokenKey]) -> None:
        self._first = keys[0]
        self._by_id = {key.key_id: key for key in keys}

    def make(self, record: SessionRecord) -> str:
        """Return a new token that holds a record, without the record's id."""
        encrypted = _coerced(self._first.ciphers[0].encrypt(_payload(record)))
        signed = _VERSION + self._first.key_id + encrypted
        token = signed + hmac.digest(self._first.mac_key, signed, "sha256")
        return urlsafe_b64encode(token).rstrip(b"=").decode()

    def read(self, token: str) -> SessionRecord | None:
        """Return the record of a token with the token as its id, or None.

        Whether it has expired is for the caller to look at.

        Args:
            token: any text.
        """
        decoded = _decoded(token)
        if len(decoded) < _HEAD_BYTES + _MAC_BYTES or decoded[:1] != _VERSION:
            return None
        key = self._by_id.get(decoded[1:_HEAD_BYTES])
        if key is None:
            return None
        signed, mac = decoded[:-_MAC_BYTES], decoded[-_MAC_BYTES:]
        if not hmac.compare_digest(hmac.digest(key.mac_key, signed, "sha256"), mac):
            return None
        return _opened(key.ciphers, signed[_HEAD_BYTES:], token)


def _opened(ciphers: Sequence[Cipher], encrypted: bytes, token: str) -> SessionRecord | None:
    for cipher in ciphers:
        try:
            return _record(_coerced(cipher.decrypt(encrypted)), token)
        except Exception:  # noqa: BLE001, S112  # an application's cipher may raise anything
            continue
    return None


def _decoded(token: str) -> bytes:
    if len(token) > SESSION_ID_LENGTH_MAX:
        return b""
    try:
        text = token.encode("ascii")
        decoded = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        return b""
    # The decoder skips foreign characters and spare bits: each session would have many ids.
    return decoded if urlsafe_b64encode(decoded).rstrip(b"=") == text else b""


def _payload(record: SessionRecord) -> bytes:
    packed: bytes = msgpack.packb([getattr(record, name) for name in _FIELDS])
    return packed


def _record(payload: bytes, token: str) -> SessionRecord:
    fields = msgpack.unpackb(payload, use_list=False, max_array_len=len(_FIELDS), max_map_len=0)
    return SessionRecord.from_data({**dict(zip(_FIELDS, fields, strict=True)), "session_id": token})


def _coerced(data: bytes | str) -> bytes:
    return data if isinstance(data, bytes) else data.encode("latin-1")
