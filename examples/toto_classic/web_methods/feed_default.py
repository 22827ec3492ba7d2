from toto.invocation import jsonp


@jsonp
def invoke(handler, parameters):
    return parameters
