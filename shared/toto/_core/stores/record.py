"""A session as it is stored and sent: an immutable value and its bytes. No I/O."""

import hashlib
import hmac
import os
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

__all__ = [
    "SESSION_ID_LENGTH_MAX",
    "SessionRecord",
    "generate_key",
    "generate_session_id",
    "pack",
    "session_digest",
    "unpack",
]

SESSION_ID_LENGTH_MAX = 8192
"""Characters of a credential; a client token with much state comes near, nothing real is longer."""

_LAYOUT = 1
_FIELD_COUNT = 9


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session. Times are seconds since the epoch."""

    session_id: str
    user_id: str | None
    """None for an anonymous session."""
    created: float
    expires: float
    key: str = ""
    """Signs requests and responses; its ASCII bytes are the HMAC key."""
    state: bytes = b""
    """What ``TotoSession.dumps`` made of the session's variables; empty for none."""
    generation: int = 0
    """Of a client token: how often all of the user's sessions had been ended when it was made."""
    token_id: str = ""
    """Of a client token: its name in the deny list."""

    def __repr__(self) -> str:
        # The id and the key are as good as a password.
        return f"SessionRecord(user_id={self.user_id!r}, expires={self.expires!r})"

    def as_data(self) -> dict[str, Any]:
        """Return the ``session_data`` dictionary that a ``TotoSessionCache`` stores."""
        return {
            "session_id": self.session_id,
            "user_id": self.user_id,
            "created": self.created,
            "expires": self.expires,
            "key": self.key,
            "state": self.state,
            "generation": self.generation,
            "token_id": self.token_id,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "SessionRecord":
        """Read a ``session_data`` dictionary; what Toto's own did not have gets its default.

        Raises:
            ValueError: a field is missing or of the wrong type.
        """
        return _checked(
            (
                data.get("session_id"),
                data.get("user_id") or None,
                data.get("created", 0.0),
                data.get("expires"),
                data.get("key") or "",
                data.get("state") or b"",
                data.get("generation", 0),
                data.get("token_id", ""),
            )
        )


def generate_session_id() -> str:
    """Return 22 URL-safe characters from 16 random bytes (OWASP ASVS 5, 7.2.3: 128 bits)."""
    return urlsafe_b64encode(os.urandom(16))[:22].decode()


def generate_key() -> str:
    """Return a new signing key: 43 URL-safe characters from 32 random bytes."""
    return urlsafe_b64encode(os.urandom(32))[:43].decode()


def session_digest(session_id: str) -> bytes:
    """Return the SHA-256 of a session id; stores know sessions by it, never by the id."""
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).digest()


def pack(record: SessionRecord) -> bytes:
    """Return the bytes of a record. They hold the digest of the id, not the id itself."""
    packed: bytes = msgpack.packb(
        (
            _LAYOUT,
            session_digest(record.session_id),
            record.user_id,
            record.created,
            record.expires,
            record.key,
            record.state,
            record.generation,
            record.token_id,
        )
    )
    return packed


def unpack(packed: bytes, session_id: str) -> SessionRecord:
    """Return the record of a session id.

    Raises:
        ValueError: the bytes are no record, or that of another session: a store that mixes up
            two answers must not let one client in as another.
    """
    try:
        fields = msgpack.unpackb(packed, use_list=False, max_array_len=_FIELD_COUNT, max_map_len=0)
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise ValueError("not a session record") from error
    if type(fields) is not tuple or len(fields) != _FIELD_COUNT or fields[0] != _LAYOUT:
        raise ValueError("not a session record")
    digest = fields[1]
    if type(digest) is not bytes or not hmac.compare_digest(digest, session_digest(session_id)):
        raise ValueError("the record of another session")
    return _checked((session_id, *fields[2:]))


def _checked(fields: tuple[Any, ...]) -> SessionRecord:
    session_id, user_id, created, expires, key, state, generation, token_id = fields
    texts_fit = all(type(text) is str for text in (session_id, key, token_id))
    times_fit = all(type(time) in (int, float) for time in (created, expires))
    user_fits = user_id is None or type(user_id) is str
    rest_fits = type(state) is bytes and type(generation) is int
    if not (texts_fit and times_fit and user_fits and rest_fits):
        raise ValueError("not a session record")
    return SessionRecord(
        session_id, user_id, float(created), float(expires), key, state, generation, token_id
    )
