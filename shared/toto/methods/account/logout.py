"""Log out: end the session of the call. Without one nothing happens."""

from typing import Any

from toto.invocation import optionally_authenticated


@optionally_authenticated
def invoke(handler: Any, parameters: Any) -> dict[str, Any]:
    """End the session, a user's or an anonymous one."""
    if handler.session is not None:
        handler.db_connection.remove_session(handler.session.session_id)
        handler.session = None
    return {"authenticated": False}
