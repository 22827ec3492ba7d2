"""Leaves an object behind whose finalizer calls a method, wherever the collector runs it."""

import gc
from typing import Any

told: list[str] = []


class Leftover:
    def __init__(self, handler: Any) -> None:
        self.handler = handler
        self.itself = self

    def __del__(self) -> None:
        try:
            told.append(str(self.handler.call_sync("echo")))
        except BaseException as error:  # noqa: BLE001  # also that the call was given up
            told.append(type(error).__name__)


def invoke(handler: Any, parameters: Any) -> Any:
    if parameters.get("tell"):
        gc.collect()
        return told
    for _ in range(50):
        Leftover(handler)
    return "left"
