from toto.exceptions import TotoException


def invoke(handler, parameters):
    raise TotoException(4242, "Test Toto Exception")
