"""Tell who calls; strangers are refused."""

from typing import Any

from toto.invocation import authenticated


@authenticated
def invoke(handler: Any, parameters: Any) -> Any:
    return handler.session.user_id
