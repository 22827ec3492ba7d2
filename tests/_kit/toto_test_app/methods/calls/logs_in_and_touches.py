"""Logs in and saves a variable by two methods at once."""

import asyncio
from typing import Any


async def invoke(handler: Any, parameters: Any) -> Any:
    await asyncio.gather(
        handler.call("session.login_without_password", {"user_id": parameters["user_id"]}),
        handler.call("session.maybe", {}),
    )
    return {"user_id": handler.session.user_id, "key": handler.session.key}
