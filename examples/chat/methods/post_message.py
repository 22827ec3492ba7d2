"""Say something in a room: `room`, `name`, `text`, and an `id` of the client's own if it likes."""

import time
import uuid

from methods._parameters import line, room, text
from toto.events import EventManager

NAME_LENGTH_MAX = 40
TEXT_LENGTH_MAX = 2000
ID_LENGTH_MAX = 64


def invoke(handler, parameters):
    event_name = f"chat.{room(parameters)}"
    message = {
        "name": line(parameters, "name", NAME_LENGTH_MAX),
        "text": text(parameters, "text", TEXT_LENGTH_MAX),
        "time": time.time(),
        # A client that does not know whether its message arrived sends it again under the same id,
        # and those who have it leave the second one out.
        "id": line(parameters, "id", ID_LENGTH_MAX) if "id" in parameters else uuid.uuid4().hex,
    }
    EventManager.instance().send(event_name, message)
    return {"id": message["id"], "time": message["time"]}
