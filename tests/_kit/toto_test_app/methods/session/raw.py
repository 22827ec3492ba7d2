"""Answer users in bytes."""

from typing import Any

from toto.invocation import authenticated


@authenticated
def invoke(handler: Any, parameters: Any) -> None:
    handler.respond_raw(f"<p>{handler.session.user_id}</p>".encode(), "text/html")
