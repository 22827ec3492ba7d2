"""Wait at a gate, then count in the session."""

import os
from typing import Any

from toto.invocation import authenticated
from toto_test_app.library.files import announce, await_file


@authenticated
def invoke(handler: Any, parameters: Any) -> Any:
    announce(parameters["started"], os.getpid())
    await_file(parameters["release"])
    handler.session["count"] = (handler.session["count"] or 0) + 1
    handler.session.save()
    return handler.session["count"]
