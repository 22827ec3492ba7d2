from toto.invocation import asynchronous


@asynchronous
def invoke(handler, parameters):
    for number in range(3):
        handler.respond_raw("line %d\n" % number, "text/plain", finish=False)  # noqa: UP031
    handler.respond_raw("end\n", "text/plain")
