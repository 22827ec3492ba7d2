from toto.tasks import TaskQueue

from toto.invocation import asynchronous


@asynchronous
def invoke(handler, parameters):
    def respond():
        handler.respond({"parameters": parameters})

    TaskQueue.instance("return_value").add_task(respond)
