from toto.invocation import raw_response


@raw_response
def invoke(handler, parameters):
    handler.response_type = "text/csv"
    return "name,price\nhat,12\n"
