from tornado.gen import Return, coroutine

from toto.tasks import TaskQueue


@coroutine
def invoke(handler, parameters):
    def work(value):
        return {"parameters": value}

    result = yield TaskQueue.instance("return_value").yield_task(work, parameters)
    raise Return(result)
