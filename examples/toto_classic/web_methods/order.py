from toto.invocation import *  # noqa: F403


@requires("article")  # noqa: F405
@default_parameters({"count": 1})  # noqa: F405
def invoke(handler, parameters):
    if parameters["count"] > 10:
        raise TotoException(ERROR_MISSING_PARAMS, "Too many")  # noqa: F405
    return parameters
