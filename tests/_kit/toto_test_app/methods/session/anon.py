"""Count calls in a session that strangers get too."""

from typing import Any

from toto.invocation import anonymous_session


@anonymous_session
def invoke(handler: Any, parameters: Any) -> Any:
    session = handler.session
    session["count"] = (session["count"] or 0) + 1
    session.save()
    facts = {"session_id": session.session_id, "user_id": session.user_id}
    return {**facts, "count": session["count"]}
