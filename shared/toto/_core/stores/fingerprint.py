"""Whether a gateway and a worker keep sessions in the same place, without telling the place."""

import hashlib

from toto._core.settings import as_environment
from toto._core.stores.settings import StoreSettings

__all__ = ["store_fingerprint"]

_FINGERPRINT_BYTES = 8
_ELSEWHERE = ("LOG_", "LOGIN_", "SESSION_TTL", "ANON_", "SESSION_RENEW", "SESSION_MAX", "STORE_")
"""Options that may differ: they say nothing of where sessions are, or who can read them."""


def store_fingerprint(settings: StoreSettings) -> bytes:
    """Return 8 bytes that differ when two processes do not find each other's sessions.

    They may differ without need, for instance for two names of one host. Keys and passwords go in
    through a slow hash: the bytes stand in a message that a wire may carry in the clear.

    Args:
        settings: the options of the process.
    """
    options = as_environment(settings, StoreSettings)
    options["TOTO_SQLITE_PATH"] = str(settings.sqlite_path.resolve())
    text = "\n".join(
        f"{name}={options[name]}"
        for name in sorted(options)
        if not name.removeprefix("TOTO_").startswith(_ELSEWHERE)
    )
    slow = hashlib.scrypt(text.encode(), salt=b"toto stores", n=2**12, r=8, p=1)
    return slow[:_FINGERPRINT_BYTES]
