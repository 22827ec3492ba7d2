from toto.exceptions import TotoException
from toto.invocation import asynchronous
from toto.tasks import TaskQueue


@asynchronous
def invoke(handler, parameters):
    def fail():
        try:
            raise TotoException(4242, "Test Toto Exception")
        except TotoException as error:
            handler.respond(error=error)

    TaskQueue.instance("throw").add_task(fail)
