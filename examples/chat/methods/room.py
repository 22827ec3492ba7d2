"""The messages of a room as a stream that does not end, over a WebSocket or as server-sent events.

Each item has a cursor, which is its key too. A client that comes back goes on behind the last item
that it has seen: it says `since`, or it is an EventSource, which says it by itself.
"""

from methods._parameters import room, since
from toto.handler import StreamItem
from toto.invocation import resumable


@resumable
async def invoke(handler, parameters):
    name = room(parameters)
    start = since({"since": handler.last_event_id}) or since(parameters)
    events = handler.subscribe(f"chat.{name}", since=start, slow_consumer="close", queue_max=100)
    cursor = start or await events.position()
    # A call may take 30 s to its first item, and a room may be silent for longer.
    yield StreamItem({"joined": name, "cursor": cursor}, key=cursor)
    async for event in events:
        message = {**event.args, "cursor": event.cursor, "has_gap": event.has_gap}
        yield StreamItem(message, key=event.cursor)
