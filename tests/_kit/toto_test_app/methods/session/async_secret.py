"""What only users may call, on the worker's loop."""

import asyncio
from typing import Any

from toto.invocation import authenticated


@authenticated
async def invoke(handler: Any, parameters: Any) -> Any:
    await asyncio.sleep(0)
    return f"for {handler.session.user_id}"
