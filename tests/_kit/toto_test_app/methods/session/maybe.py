"""What anybody may call, and what knows its users."""

from typing import Any

from toto.invocation import optionally_authenticated


@optionally_authenticated
def invoke(handler: Any, parameters: Any) -> Any:
    return None if handler.session is None else handler.session.user_id
