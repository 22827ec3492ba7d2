from tornado.gen import coroutine
from toto.tasks import TaskQueue

from toto.exceptions import TotoException


@coroutine
def invoke(handler, parameters):
    def fail():
        raise TotoException(4242, "Test Toto Exception")

    yield TaskQueue.instance("throw").yield_task(fail)
