"""A long poll: answer with the next event, and tell by files what happens on the way."""

import os
from typing import Any

from toto.invocation import asynchronous
from toto_test_app.library.files import announce, append


@asynchronous
def invoke(handler: Any, parameters: Any) -> None:
    handler.event_closed_path = parameters.get("closed")

    def answer(args: Any) -> None:
        if "fired" in parameters:
            append(parameters["fired"], str(os.getpid()))
        handler.respond({"pid": os.getpid(), "args": args})

    handler.register_event_handler(
        parameters["name"],
        answer,
        run_on_main_loop=parameters.get("on_loop", True),
        deregister_on_finish=parameters.get("deregister", False),
    )
    if "started" in parameters:
        announce(parameters["started"], os.getpid())
    if parameters.get("answers_at_once"):
        handler.respond("before any event")


def on_connection_close(handler: Any) -> None:
    if handler.event_closed_path:
        append(handler.event_closed_path, "closed")
