"""Give a user a new password."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    return handler.db_connection.generate_password(parameters["user_id"])
