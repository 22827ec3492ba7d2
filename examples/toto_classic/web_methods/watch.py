from toto.invocation import asynchronous

watching = set()


@asynchronous
def invoke(handler, parameters):
    watching.add(handler)


def on_connection_close(handler):
    watching.discard(handler)
