"""What only users may call."""

from typing import Any

from toto.invocation import authenticated


@authenticated
def invoke(handler: Any, parameters: Any) -> Any:
    return f"for {handler.session.user_id}"
