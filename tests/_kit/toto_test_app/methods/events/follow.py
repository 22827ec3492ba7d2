"""All events of a name as a stream that can be gone on with."""

from collections.abc import AsyncIterator
from typing import Any

from toto.handler import StreamItem
from toto.invocation import resumable
from toto_test_app.library.files import announce


@resumable
async def invoke(handler: Any, parameters: Any) -> AsyncIterator[Any]:
    since = handler.last_event_id or parameters.get("since")
    subscription = handler.subscribe(
        parameters["name"],
        since=since,
        slow_consumer=parameters.get("slow_consumer", "block"),
        queue_max=int(parameters.get("queue_max", 100)),
    )
    yield StreamItem({"begins": await subscription.position()}, await subscription.position())
    if "started" in parameters:
        announce(parameters["started"], "")
    async for event in subscription:
        value = {"args": event.args, "has_gap": event.has_gap, "cursor": event.cursor}
        yield StreamItem(value, event.cursor)
