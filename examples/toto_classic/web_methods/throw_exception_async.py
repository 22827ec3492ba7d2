from threading import Thread

from toto.invocation import asynchronous


@asynchronous
def invoke(handler, parameters):
    def fail():
        try:
            raise ValueError("Test Exception")
        except ValueError as error:
            handler.respond(error=error)

    Thread(target=fail).start()
