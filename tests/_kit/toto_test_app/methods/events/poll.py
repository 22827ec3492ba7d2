"""A long-poll of the whole kind: wait for events behind a cursor."""

from typing import Any

from toto_test_app.library.files import announce


async def invoke(handler: Any, parameters: Any) -> Any:
    if "started" in parameters:
        announce(parameters["started"], "")
    page = await handler.next_events(
        parameters["name"],
        since=parameters.get("since"),
        count_max=parameters.get("count_max", 100),
        timeout_seconds=parameters.get("timeout_seconds"),
    )
    return {
        "events": [event.args for event in page.events],
        "cursor": page.cursor,
        "has_gap": page.has_gap,
    }
