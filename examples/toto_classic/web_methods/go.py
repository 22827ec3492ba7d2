def invoke(handler, parameters):
    handler.redirect(parameters["url"])
