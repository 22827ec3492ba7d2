from tornado.gen import coroutine, sleep

from toto.exceptions import TotoException


@coroutine
def invoke(handler, parameters):
    yield sleep(0.01)
    raise TotoException(4242, "Test Toto Exception")
