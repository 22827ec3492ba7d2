from toto.invocation import anonymous_session


@anonymous_session
def invoke(handler, parameters):
    if "count" not in handler.session:
        handler.session["count"] = 0
    handler.session["count"] += 1
    handler.session.save()
    return {"count": handler.session["count"]}
