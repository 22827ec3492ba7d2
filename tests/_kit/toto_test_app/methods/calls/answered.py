"""Answers, and calls another method after that."""

import threading
from typing import Any

from toto.invocation import asynchronous

seen: list[str] = []


@asynchronous
def invoke(handler: Any, parameters: Any) -> Any:
    if parameters.get("tell"):
        return list(seen)

    def answer() -> None:
        handler.respond("answered")
        try:
            handler.call_sync("echo")
        except RuntimeError as error:
            seen.append(str(error))

    threading.Thread(target=answer).start()
    return None
