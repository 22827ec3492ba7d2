from toto.events import EventManager
from toto.invocation import requires


@requires("message")
def invoke(handler, parameters):
    EventManager.instance().send("message", parameters["message"])
    return {"sent": True}
