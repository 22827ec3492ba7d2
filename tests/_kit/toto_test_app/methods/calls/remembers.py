"""Saves a value, after another method has saved one."""

from typing import Any

from toto.invocation import authenticated


@authenticated
def invoke(handler: Any, parameters: Any) -> Any:
    handler.session[parameters["name"]] = parameters["value"]
    handler.call_sync("session.remember", {"name": "theirs", "value": 2})
    handler.session.save()
    return dict(handler.session)
