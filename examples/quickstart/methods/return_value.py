"""Answer the parameters under a name; what the load bench calls."""


def invoke(handler, parameters):
    return {"parameters": parameters}
