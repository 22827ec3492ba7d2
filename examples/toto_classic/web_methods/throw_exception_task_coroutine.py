from tornado.gen import coroutine

from toto.tasks import TaskQueue


@coroutine
def invoke(handler, parameters):
    def fail():
        raise ValueError("Test Exception")

    yield TaskQueue.instance("throw").yield_task(fail)
