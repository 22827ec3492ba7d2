"""End all sessions of a user."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    handler.db_connection.clear_sessions(parameters["user_id"])
    return True
