"""New keys, as the lines of a conf file."""

import secrets

import zmq

__all__ = ["generate_keys_text"]

_KEY_BYTES = 48

_TEXT = """\
# The same in every gateway and worker of a cluster, and nowhere else.
# To change session_keys without ending sessions, put the new key before the old, with a comma.
session_keys = "{session_key}"

# For gateways only: a worker has no such option, and refuses a conf file with it.
cookie_secret = "{cookie_secret}"

# For encrypted traffic between gateways and workers; the options for it follow in a later version.
# cluster_public_key = "{public_key}"
# cluster_secret_key = "{secret_key}"
"""


def generate_keys_text() -> str:
    """Return lines for a conf file with new random keys: 48 bytes each, and a CURVE key pair."""
    public_key, secret_key = zmq.curve_keypair()
    return _TEXT.format(
        session_key=secrets.token_urlsafe(_KEY_BYTES),
        cookie_secret=secrets.token_urlsafe(_KEY_BYTES),
        public_key=public_key.decode(),
        secret_key=secret_key.decode(),
    )
