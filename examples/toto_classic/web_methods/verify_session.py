from toto.invocation import authenticated


@authenticated
def invoke(handler, parameters):
    return handler.session.user_id
