"""Log out: end the session of the call."""

from typing import Any

from toto.invocation import authenticated


@authenticated
def invoke(handler: Any, parameters: Any) -> dict[str, Any]:
    """End the user's session."""
    handler.db_connection.remove_session(handler.session.session_id)
    handler.session = None
    return {"authenticated": False}
