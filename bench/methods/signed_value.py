from toto.invocation import authenticated


@authenticated
def invoke(handler, parameters):
    return {"parameters": parameters}
