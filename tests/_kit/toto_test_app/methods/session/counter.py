"""Count calls in the session of a user."""

from typing import Any

from toto.invocation import authenticated


@authenticated
def invoke(handler: Any, parameters: Any) -> Any:
    handler.session["count"] = (handler.session["count"] or 0) + 1
    handler.session.save()
    return handler.session["count"]
