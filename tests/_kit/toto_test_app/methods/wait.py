"""Wait some seconds on the loop; tell when it was cancelled."""

import asyncio
from typing import Any

from toto_test_app.library.files import announce


async def invoke(handler: Any, parameters: Any) -> Any:
    if "started" in parameters:
        announce(parameters["started"], "started")
    try:
        await asyncio.sleep(float(parameters["seconds"]))
    except asyncio.CancelledError:
        if "cancelled" in parameters:
            announce(parameters["cancelled"], "cancelled")
        raise
    return parameters["seconds"]
