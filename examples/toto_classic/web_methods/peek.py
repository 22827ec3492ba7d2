def invoke(handler, parameters):
    session = handler.retrieve_session(parameters["session_id"])
    return session and {"user_id": session.user_id, "count": session["count"]}
