from toto.invocation import asynchronous

waiting = set()


@asynchronous
def invoke(handler, parameters):
    def receive(message):
        waiting.discard(handler)
        handler.respond(result={"message": message})

    waiting.add(handler)
    handler.register_event_handler("message", receive, deregister_on_finish=True)


def on_connection_close(handler):
    waiting.discard(handler)
