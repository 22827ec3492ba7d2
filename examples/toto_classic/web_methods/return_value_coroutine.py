from tornado.gen import Return, coroutine, sleep


@coroutine
def invoke(handler, parameters):
    yield sleep(0.01)
    raise Return({"parameters": parameters})
