"""The keys of an encrypted connection to a gateway: CURVE, as ZeroMQ has it (RFC 26)."""

import struct
from dataclasses import dataclass, field

import zmq
from zmq.utils import z85

__all__ = ["CurveKeys"]

_KEY_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class CurveKeys:
    """Whom to talk to, and as whom. Each key is 32 bytes, written as 40 characters of Z85 (RFC 32).

    Args:
        server_key: the gateway's public key: nobody else can read what is sent, or answer it.
        public_key: this program's, by which the gateway knows it.
        secret_key: the one that belongs to ``public_key``.

    Raises:
        TypeError: a key is no text.
        ValueError: a key is malformed, or the last two do not belong together.
    """

    server_key: str
    public_key: str
    secret_key: str = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("server_key", "public_key", "secret_key"):
            _check_key(name, getattr(self, name))
        if zmq.curve_public(self.secret_key.encode()) != self.public_key.encode():
            raise ValueError("public_key is not the one that belongs to secret_key")

    @classmethod
    def of_secret(cls, server_key: str, secret_key: str) -> "CurveKeys":
        """Make the keys without the public one, which follows from the secret one."""
        _check_key("secret_key", secret_key)
        return cls(server_key, zmq.curve_public(secret_key.encode()).decode(), secret_key)


def _check_key(name: str, key: object) -> None:
    """Refuse what is no key, without telling what it is."""
    if not isinstance(key, str):
        raise TypeError(f"{name} must be text, not {type(key).__name__}")
    try:
        z85.decode(key)
        is_key = len(key) == _KEY_CHARACTERS
    except (ValueError, KeyError, struct.error):
        is_key = False
    if not is_key:
        raise ValueError(f"{name} must be a key of {_KEY_CHARACTERS} characters of Z85")
