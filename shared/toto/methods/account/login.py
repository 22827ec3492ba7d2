"""Log in: parameters ``user_id`` and ``password``.

The session that the call came with ends. The result has the new session's ``session_id``,
``expires``, ``user_id`` and ``key``, which signs requests where ``hmac_enabled`` is set.
"""

from collections.abc import Mapping
from typing import Any

from toto._core.stores.passwords import wrong_login
from toto.invocation import requires
from toto.session import TotoSession


@requires("user_id", "password")
def invoke(handler: Any, parameters: Any) -> dict[str, Any]:
    """Make a session for a user whose password is right."""
    user_id = one_value(parameters, "user_id")
    if not user_id:  # without a user id an anonymous session would be made
        raise wrong_login()
    return login_fields(handler.create_session(user_id, one_value(parameters, "password")))


def login_fields(session: TotoSession) -> dict[str, Any]:
    """Return what a client gets to know of its new session."""
    return {
        "session_id": session.session_id,
        "expires": session.expires,
        "user_id": session.user_id,
        "key": session.key,
    }


def one_value(parameters: Mapping[str, Any], name: str) -> Any:
    """Return a parameter, or None; of a form field, which is a list of values, the only value."""
    value = parameters.get(name)
    return value[0] if isinstance(value, list) and len(value) == 1 else value
