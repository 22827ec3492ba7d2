"""The user's notes."""

from toto.invocation import authenticated


@authenticated
def invoke(handler, parameters):
    return handler.session.get_account()["notes"] or []
