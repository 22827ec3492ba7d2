"""Send an event, or several in a row: each with its number in ``args`` then."""

from typing import Any

from toto.events import EventManager


def invoke(handler: Any, parameters: Any) -> Any:
    name, args = parameters["name"], parameters.get("args")
    broadcast = parameters.get("broadcast", True)
    if "count" not in parameters:
        return EventManager.instance().send(name, args, broadcast)
    for number in range(parameters["count"]):
        EventManager.instance().send(name, {**args, "note": f"{number}"}, broadcast)
    return parameters["count"]
