"""Note every event in a file, until the call ends: once or, with ``persist``, as often as it comes.

The event ``name.end`` ends the call.
"""

from typing import Any

from toto.events import EventManager
from toto.invocation import asynchronous
from toto_test_app.library.files import append


@asynchronous
def invoke(handler: Any, parameters: Any) -> None:
    name, path = parameters["name"], parameters["path"]
    EventManager.instance().register_handler(
        name,
        lambda args: append(path, str(args)),
        run_on_main_loop=True,
        request_handler=handler,
        persist=parameters.get("persist", False),
    )
    handler.register_event_handler(f"{name}.end", lambda args: handler.respond("ended"))
