"""Change a password through the database connection."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    handler.db_connection.change_password(
        parameters["user_id"], parameters["password"], parameters["new_password"]
    )
    return True
