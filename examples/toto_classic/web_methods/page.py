from toto.exceptions import *  # noqa: F403
from toto.invocation import *  # noqa: F403


@error_redirect({"404": "/missing.html", "1003": "/form.html"}, "/error.html")  # noqa: F405
@requires("name")  # noqa: F405
def invoke(handler, parameters):
    if parameters["name"] == "nobody":
        raise TotoException(404, "No such page")  # noqa: F405
    if parameters["name"] == "broken":
        raise ValueError("broken")
    return {"page": parameters["name"]}
