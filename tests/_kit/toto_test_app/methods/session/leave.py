"""Have a session and answer without it."""

from typing import Any

from toto.invocation import authenticated


@authenticated
def invoke(handler: Any, parameters: Any) -> Any:
    user_id = handler.session.user_id
    handler.session = None
    return user_id
