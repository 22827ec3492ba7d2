def invoke(handler, parameters):
    handler.set_cookie("seen", parameters["name"], path="/", expires_days=7)
    return "remembered"
