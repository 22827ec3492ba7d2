from toto.invocation import asynchronous
from toto.tasks import TaskQueue


@asynchronous
def invoke(handler, parameters):
    def respond():
        handler.respond({"parameters": parameters})

    TaskQueue.instance("return_value").add_task(respond)
