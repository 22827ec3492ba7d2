"""Answer pages of other origins about a user."""

from typing import Any

from toto.invocation import authenticated, jsonp


@jsonp
@authenticated
def invoke(handler: Any, parameters: Any) -> Any:
    return f"for {handler.session.user_id}"
