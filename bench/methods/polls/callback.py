"""A long-poll as Toto has it: the event's handler answers."""

from typing import Any

from methods.polls import waiting
from toto.invocation import asynchronous


@asynchronous
def invoke(handler: Any, parameters: Any) -> None:
    def answer(args: Any) -> None:
        waiting.discard(handler)
        handler.respond(args)

    waiting.add(handler)
    handler.register_event_handler("bench.wake", answer, deregister_on_finish=True)


def on_connection_close(handler: Any) -> None:
    waiting.discard(handler)
