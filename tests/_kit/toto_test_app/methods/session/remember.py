"""Put a value into the session, after some time if asked to."""

import time
from typing import Any

from toto.invocation import authenticated


@authenticated
def invoke(handler: Any, parameters: Any) -> Any:
    time.sleep(float(parameters.get("seconds", 0)))
    handler.session[parameters["name"]] = parameters["value"]
    handler.session.save()
    return parameters["value"]
