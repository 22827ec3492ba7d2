"""Reading parameters. The name starts with an underscore, so this module is no method."""

import re

from toto.exceptions import ERROR_MISSING_PARAMS, TotoException

BAD_PARAMETER = 2001  # a code of this application's own
ROOM = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
CURSOR = re.compile(r"[!-~]{1,64}")


def text(parameters, name, length_max):
    """A text that is not empty; blanks around it do not count."""
    if not isinstance(parameters, dict) or name not in parameters:
        raise TotoException(ERROR_MISSING_PARAMS, f"Missing parameters: {name}")
    value = parameters[name]
    if not isinstance(value, str):
        raise TotoException(BAD_PARAMETER, f"{name} must be a text")
    value = value.strip()
    if not value:
        raise TotoException(BAD_PARAMETER, f"{name} must not be empty")
    if len(value) > length_max:
        raise TotoException(BAD_PARAMETER, f"{name} may have {length_max} characters at most")
    return value


def line(parameters, name, length_max):
    """A text of one line."""
    value = text(parameters, name, length_max)
    if not value.isprintable():
        raise TotoException(BAD_PARAMETER, f"{name} must be one line of printable characters")
    return value


def room(parameters):
    """The name of a room; its events are called chat.<room>, so rooms do not mix."""
    value = line(parameters, "room", 32)
    if not ROOM.fullmatch(value):
        raise TotoException(BAD_PARAMETER, "room must be a name such as lobby or team-7")
    return value


def since(parameters):
    """Where a client wants to go on: None is now, "0" is the beginning of what is kept."""
    value = parameters.get("since")
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not CURSOR.fullmatch(value):
        raise TotoException(BAD_PARAMETER, "since must be a cursor of an earlier answer")
    return value
