"""Tell who is meant by the parameter ``session_id``, and what parameters were left."""

from typing import Any

from toto.invocation import authenticated_with_parameter


@authenticated_with_parameter
def invoke(handler: Any, parameters: Any) -> Any:
    return {"user_id": handler.session.user_id, "parameters": parameters}
