"""Put a value into the session that the parameters name; ``leave`` logs it out instead."""

from typing import Any

from toto.invocation import authenticated_with_parameter


@authenticated_with_parameter
def invoke(handler: Any, parameters: Any) -> Any:
    if parameters.get("leave"):
        handler.db_connection.remove_session(handler.session.session_id)
        handler.session = None
        return None
    handler.session[parameters["name"]] = parameters["value"]
    handler.session.save()
    return handler.session.user_id
