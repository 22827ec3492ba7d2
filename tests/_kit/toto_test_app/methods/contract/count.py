"""Count the calls of a visitor in the session."""

from typing import Any

from toto.invocation import anonymous_session


@anonymous_session
def invoke(handler: Any, parameters: Any) -> Any:
    handler.session["count"] = (handler.session["count"] or 0) + 1
    handler.session.save()
    return handler.session["count"]
