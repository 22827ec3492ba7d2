"""Answer the parameters as they arrived."""


def invoke(handler, parameters):
    return parameters
