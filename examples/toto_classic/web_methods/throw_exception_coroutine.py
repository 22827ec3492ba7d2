from tornado.gen import coroutine, sleep


@coroutine
def invoke(handler, parameters):
    yield sleep(0.01)
    raise ValueError("Test Exception")
