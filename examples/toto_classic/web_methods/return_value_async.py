from threading import Thread

from toto.invocation import asynchronous


@asynchronous
def invoke(handler, parameters):
    Thread(target=handler.respond, args=({"parameters": parameters},)).start()
