def invoke(handler, parameters):
    raise ValueError("Test Exception")
