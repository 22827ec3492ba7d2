"""Handlers that every worker has from its start (option ``event_init_module``)."""

import asyncio
import os
from typing import Any

from toto.events import EventManager
from toto_test_app.library.files import append


def invoke(event_manager: EventManager) -> None:
    event_manager.register_handler("record", record, persist=True)
    event_manager.register_handler("record.loop", record, run_on_main_loop=True, persist=True)
    event_manager.register_handler("record.coroutine", record_later, persist=True)
    event_manager.register_handler("fails", fail, persist=True)


def record(args: Any) -> None:
    append(args["path"], f"{os.getpid()} {args['note']}")


async def record_later(args: Any) -> None:
    await asyncio.sleep(0)
    record(args)


def fail(args: Any) -> None:
    raise ValueError("this handler never works")
