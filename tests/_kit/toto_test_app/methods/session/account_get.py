"""Read properties of the caller's account."""

from typing import Any

from toto.invocation import authenticated, requires


@authenticated
@requires("names")
def invoke(handler: Any, parameters: Any) -> Any:
    account = handler.session.get_account()
    account.load_property(*parameters["names"])
    return {name: account[name] for name in parameters["names"]}
