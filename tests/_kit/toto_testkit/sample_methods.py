"""Functions that tests give to ``call_method``."""

from typing import Any

from toto.exceptions import TotoException
from toto.invocation import authenticated


def refuse(handler: Any, parameters: Any) -> Any:
    """Raise an error that is meant."""
    raise TotoException(2001, {"why": "not today"})


def fail(handler: Any, parameters: Any) -> Any:
    """Raise one that nobody meant."""
    raise LookupError("no such hat")


@authenticated
def count(handler: Any, parameters: Any) -> Any:
    """Count in the session, and save it unless told not to."""
    handler.session["count"] += 1
    if parameters.get("save", True):
        handler.session.save()
    return handler.session["count"]


def whose(handler: Any, parameters: Any) -> Any:
    """Tell whose session the call came with."""
    session = handler.retrieve_session()
    return session and session.user_id
