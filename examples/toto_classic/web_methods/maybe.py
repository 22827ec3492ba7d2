from toto.invocation import optionally_authenticated


@optionally_authenticated
def invoke(handler, parameters):
    return (handler.session and handler.session.user_id) or "stranger"
