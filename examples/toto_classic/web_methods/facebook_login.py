def invoke(handler, parameters):
    handler.create_session(parameters["user_id"], verify_password=False)
    return {"user_id": handler.session.user_id, "key": handler.session.key}
