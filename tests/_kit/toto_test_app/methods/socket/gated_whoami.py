"""Wait at a gate, then tell whose call it is."""

import os
from typing import Any

from toto.invocation import authenticated
from toto_test_app.library.files import announce, await_file


@authenticated
def invoke(handler: Any, parameters: Any) -> Any:
    announce(parameters["started"], os.getpid())
    await_file(parameters["release"])
    return handler.session.user_id
