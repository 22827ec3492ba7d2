"""Set properties of the caller's account; a method may set those that clients may not."""

from typing import Any

from toto.invocation import authenticated


@authenticated
def invoke(handler: Any, parameters: Any) -> Any:
    account = handler.session.get_account()
    for name, value in parameters.items():
        account[name] = value
    account.save()
    return sorted(parameters)
