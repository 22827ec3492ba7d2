"""Sessions kept by the client: the session id is the encrypted session.

In a ``startup_function``, or by the options ``session_cache = "client"`` and ``session_keys``::

    db_connection.set_session_cache(ClientCache(AESCipher(cipher_key), hmac_key))
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from toto._core.client_token import (
    AESCipher,
    Cipher,
    TokenKey,
    TokenKeys,
    as_bytes,
    hkdf_sha256,
    token_key,
)
from toto._core.stores.record import (
    SESSION_ID_LENGTH_MAX,
    SessionRecord,
    generate_session_id,
)
from toto.exceptions import ERROR_SERVER, TotoException
from toto.session import TotoSessionCache

__all__ = ["TOKEN_LENGTH_MAX", "AESCipher", "Cipher", "ClientCache", "make_client_cache"]

TOKEN_LENGTH_MAX = 3800
"""Fits a cookie. Browsers keep 4096 bytes with name and attributes (RFC 6265, 6.1), of which are:

- 16 for ``toto-session-id=`` and 44 for the signature;
- 18 for ``; Max-Age=34560000``, 32 for ``; HttpOnly; SameSite=Lax; Secure``;
- 7 for ``; Path=`` and 9 for ``; Domain=``, each with 64 more for its value.

That leaves 3842. ``SessionCookie.session_id_length_max`` tells it exactly."""
HMAC_KEY_BYTES_MIN = 32
"""The size of the HMAC's output: a shorter key would be the weakest part (RFC 2104, 3)."""

_HMAC_LABEL = b"toto client token: HMAC-SHA256"
_CIPHER_LABEL = b"toto client token: cipher key"


class ClientCache(TotoSessionCache):
    """Keeps each session in its own id, encrypted and signed; the server keeps nothing.

    The id is sent with every request, so the session's variables must be few. It changes when the
    session is saved or renewed.

    Keys are changed without ending sessions by giving lists: the first of each makes tokens, the
    others are still read. Lists of one length belong together by position; a single cipher or a
    single hmac key goes with every one of the other list. Keep an old key for ``session_ttl``.

    Args:
        cipher: an ``AESCipher``, or anything that has ``encrypt`` and ``decrypt`` for bytes; or a
            list of them.
        hmac_key: signs the tokens: text or bytes, 32 or more; or a list of them. Without it, it is
            derived from the key of the ``AESCipher``.
        token_length_max: characters of the longest token; the default fits a cookie. Headers of a
            gateway carry up to 8192.
        clock: gives the seconds since the epoch.
        allow_short_keys: accept hmac keys of less than 32 bytes, as Toto did.

    Raises:
        ValueError: an hmac key is too short, or the lists do not belong together.
        TypeError: no hmac key was given, and none can be derived.
    """

    def __init__(
        self,
        cipher: Cipher | Sequence[Cipher],
        hmac_key: str | bytes | Sequence[str | bytes] | None = None,
        *,
        token_length_max: int = TOKEN_LENGTH_MAX,
        clock: Callable[[], float] = time.time,
        allow_short_keys: bool = False,
    ) -> None:
        if not 0 < token_length_max <= SESSION_ID_LENGTH_MAX:
            raise ValueError(f"token_length_max must be from 1 to {SESSION_ID_LENGTH_MAX}")
        ciphers = list(cipher) if isinstance(cipher, Sequence) else [cipher]
        if hmac_key is None:
            mac_keys = [_derived_mac_key(each) for each in ciphers]
        else:
            mac_keys = _mac_keys(hmac_key, length_min=1 if allow_short_keys else HMAC_KEY_BYTES_MIN)
        self._keys = TokenKeys(_paired(ciphers, mac_keys))
        self._token_length_max = token_length_max
        self._clock = clock

    def store_session(self, session_data: Mapping[str, Any]) -> str:
        """Return a new session id that holds the session; a ``session_id`` in the data is dropped.

        A session without a ``token_id`` gets one, by which the store can end it.

        Raises:
            ValueError: the data is no session.
            TotoException: the session has too much state for a session id.
        """
        record = SessionRecord.from_data({**session_data, "session_id": ""})
        token = self._keys.make(
            record if record.token_id else replace(record, token_id=generate_session_id())
        )
        if len(token) > self._token_length_max:
            raise TotoException(
                ERROR_SERVER,
                f"The session is too large for a client session: {len(token)} characters, "
                f"of {self._token_length_max} allowed.",
            )
        return token

    def load_session(self, session_id: str | bytes) -> dict[str, Any] | None:
        """Return the session that an id holds; None if we did not make the id or it has expired.

        Args:
            session_id: any text or bytes.
        """
        token = session_id.decode("latin-1") if isinstance(session_id, bytes) else session_id
        record = self._keys.read(token)
        if record is None or not self._clock() < record.expires:
            return None
        return record.as_data()

    def remove_session(self, session_id: str | bytes) -> None:
        """Do nothing, for nothing is kept here; the store's deny list ends client sessions."""


def make_client_cache(
    keys: Sequence[str],
    *,
    token_length_max: int = TOKEN_LENGTH_MAX,
    clock: Callable[[], float] = time.time,
) -> ClientCache:
    """Make the cache of the option ``session_keys``.

    Args:
        keys: the first makes tokens, all read them; each gives a cipher key and an hmac key (HKDF).
        token_length_max: as of ``ClientCache``.
        clock: as of ``ClientCache``.

    Raises:
        ValueError: there is no key, or one has less than 32 bytes.
    """
    secrets = _mac_keys(keys, length_min=HMAC_KEY_BYTES_MIN)
    return ClientCache(
        [AESCipher(hkdf_sha256(key, _CIPHER_LABEL, HMAC_KEY_BYTES_MIN)) for key in secrets],
        [hkdf_sha256(key, _HMAC_LABEL, HMAC_KEY_BYTES_MIN) for key in secrets],
        token_length_max=token_length_max,
        clock=clock,
    )


def _mac_keys(keys: str | bytes | Sequence[str | bytes], *, length_min: int) -> list[bytes]:
    found = [as_bytes(key) for key in ([keys] if isinstance(keys, str | bytes) else keys)]
    if any(len(key) < length_min for key in found):
        raise ValueError(f"keys of client sessions must have {length_min} bytes or more each")
    return found


def _derived_mac_key(cipher: Cipher) -> bytes:
    if not isinstance(cipher, AESCipher):
        raise TypeError(
            "ClientCache needs an hmac_key, for it cannot derive one from a cipher of type "
            f"{type(cipher).__name__}"
        )
    return cipher.derive_key(_HMAC_LABEL)


def _paired(ciphers: list[Cipher], mac_keys: list[bytes]) -> list[TokenKey]:
    count = max(len(ciphers), len(mac_keys))
    if not {len(ciphers), len(mac_keys)} <= {1, count} or not (ciphers and mac_keys):
        raise ValueError("ClientCache needs as many hmac keys as ciphers, or one of either")
    spread_ciphers = ciphers * count if len(ciphers) == 1 else ciphers
    spread_keys = mac_keys * count if len(mac_keys) == 1 else mac_keys
    by_mac_key: dict[bytes, list[Cipher]] = {}
    for mac_key, cipher in zip(spread_keys, spread_ciphers, strict=True):
        by_mac_key.setdefault(mac_key, []).append(cipher)
    return [token_key(mac_key, group) for mac_key, group in by_mac_key.items()]
