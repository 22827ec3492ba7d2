from tornado.gen import coroutine

from toto.exceptions import TotoException
from toto.tasks import TaskQueue


@coroutine
def invoke(handler, parameters):
    def fail():
        raise TotoException(4242, "Test Toto Exception")

    yield TaskQueue.instance("throw").yield_task(fail)
