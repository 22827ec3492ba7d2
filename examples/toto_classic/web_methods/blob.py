from toto.invocation import raw_response


@raw_response
def invoke(handler, parameters):
    return bytes(range(256))
