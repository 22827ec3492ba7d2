"""As ``once``, and may be run again."""

from typing import Any

from toto.invocation import idempotent
from toto_test_app.methods.limits import once


@idempotent
def invoke(handler: Any, parameters: Any) -> Any:
    return once.invoke(handler, parameters)
