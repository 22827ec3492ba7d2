"""Ask for the caller's session, without a decorator."""

from typing import Any


def invoke(handler: Any, parameters: Any) -> Any:
    session = handler.retrieve_session()
    return None if session is None else session.user_id
