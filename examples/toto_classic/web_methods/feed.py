from toto.invocation import jsonp


@jsonp("callback")
def invoke(handler, parameters):
    return {"items": ["hat", "cat"], "parameters": parameters}
