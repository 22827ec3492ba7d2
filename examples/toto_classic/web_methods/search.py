from toto.invocation import default_parameters, requires


@requires("text", "shop")
@default_parameters({"limit": 10, "tags": []})
def invoke(handler, parameters):
    """Search the shop."""
    parameters["tags"].append("seen")
    return parameters
