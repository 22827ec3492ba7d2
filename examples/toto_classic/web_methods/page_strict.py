from toto.exceptions import TotoException
from toto.invocation import error_redirect


@error_redirect({"404": "/missing.html"})
def invoke(handler, parameters):
    raise TotoException(int(parameters["code"]), "No luck")
