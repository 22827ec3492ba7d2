from tornado.ioloop import IOLoop

from toto.invocation import asynchronous


@asynchronous
def invoke(handler, parameters):
    IOLoop.current().call_later(0.01, handler.respond, {"parameters": parameters})
