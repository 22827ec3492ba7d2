"""Answer by ``respond`` in the way that was asked for, and once more if told so."""

import asyncio
import threading
from typing import Any

from toto.invocation import asynchronous
from toto_test_app.methods.contract.raises import error_of


@asynchronous
def invoke(handler: Any, parameters: Any) -> None:
    def answer() -> None:
        if "kind" in parameters:
            handler.respond(error=error_of(parameters))
        else:
            handler.respond({"first": parameters["value"]})
        if parameters.get("twice"):
            handler.respond({"second": parameters["value"]})
            handler.respond(error=ValueError("third"))

    match parameters["place"]:
        case "here":
            answer()
        case "thread":
            threading.Thread(target=answer).start()
        case "timer":
            threading.Timer(0.02, answer).start()
        case "callback":
            asyncio.get_running_loop().call_soon(answer)
        case "later":
            asyncio.get_running_loop().call_later(0.02, answer)
