"""Wait for messages in a room, for clients that can do no more than ask (long polling).

The answer comes with the first message, or without one after some seconds. The next poll sends its
`cursor` back as `since`, and so misses nothing that was said between the two.
"""

from methods._parameters import room, since

POLL_SECONDS = 25.0  # less than the 30 s that a call may take, and than proxies bear


async def invoke(handler, parameters):
    page = await handler.next_events(
        f"chat.{room(parameters)}", since=since(parameters), timeout_seconds=POLL_SECONDS
    )
    return {
        "messages": [event.args for event in page.events],
        "cursor": page.cursor,
        "has_gap": page.has_gap,
    }
