"""Answer, and try to wait for events all the same; another call is told what came of it."""

from typing import Any

from toto.events import EventManager

_told: list[str] = []


async def invoke(handler: Any, parameters: Any) -> Any:
    if "tell" in parameters:
        return _told
    handler.respond("answered")
    for subscribe in (
        lambda: handler.subscribe("late"),
        lambda: EventManager.instance().subscribe("late", request_handler=handler),
    ):
        try:
            subscribe()
        except RuntimeError as error:
            _told.append(str(error))
    return None
