from tornado.gen import Return, coroutine

from toto.tasks import AwaitableInstance, InstancePool


class Adder(object):  # noqa: UP004
    def add(self, a, b):
        return a + b


pool = InstancePool([Adder(), Adder()])


@coroutine
def invoke(handler, parameters):
    total = yield AwaitableInstance(pool).add(parameters["a"], parameters["b"])
    again = yield pool.await_transaction(lambda adder: adder.add(total, 1))
    with pool.instance() as adder:
        raise Return([total, again, adder.add(again, 1), pool.add(1, 1)])
