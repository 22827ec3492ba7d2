from threading import Thread

from toto.exceptions import TotoException
from toto.invocation import asynchronous


@asynchronous
def invoke(handler, parameters):
    def fail():
        try:
            raise TotoException(4242, "Test Toto Exception")
        except TotoException as error:
            handler.respond(error=error)

    Thread(target=fail).start()
