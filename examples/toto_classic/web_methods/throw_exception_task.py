from toto.invocation import asynchronous
from toto.tasks import TaskQueue


@asynchronous
def invoke(handler, parameters):
    def fail():
        try:
            raise ValueError("Test Exception")
        except ValueError as error:
            handler.respond(error=error)

    TaskQueue.instance("throw").add_task(fail)
