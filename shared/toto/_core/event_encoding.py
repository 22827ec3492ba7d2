"""What may be sent as an event: its name and its arguments, checked where it is sent."""

from typing import Any

from toto._core.formats.errors import MalformedBody
from toto._core.formats.format import Format
from toto._wire.constants import EVENT_BYTES_MAX, EVENT_NAME_LENGTH_MAX

__all__ = ["checked_name", "encoded_arguments"]


def checked_name(name: object) -> str:
    """Return the name of an event as plain text.

    Raises:
        TypeError: it is no text.
        ValueError: it is too short or too long, or UTF-8 cannot carry it.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of an event must be text, not {type(name).__name__}")
    name = str.__str__(name)  # a subclass may count and compare as it likes
    if not 0 < len(name) <= EVENT_NAME_LENGTH_MAX:
        raise ValueError(
            f"the name of an event must have 1 to {EVENT_NAME_LENGTH_MAX} characters, "
            f"not {len(name)}"
        )
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise ValueError("the name of an event must be text that UTF-8 can carry")
    return name


def encoded_arguments(event_args: Any, msgpack: Format) -> bytes:
    """Return the arguments of an event as they travel.

    Args:
        event_args: what the format can carry.
        msgpack: the format of events.

    Raises:
        TypeError: the format cannot carry them; it tells where.
        ValueError: they are too large, or too deep to be read again.
    """
    payload = msgpack.encode_item(event_args)
    if len(payload) > EVENT_BYTES_MAX:
        raise ValueError(
            f"the arguments of an event may have {EVENT_BYTES_MAX} bytes, not {len(payload)}"
        )
    try:
        msgpack.loads(payload)
    except MalformedBody as error:
        # Better here than in the log of every worker that gets it.
        raise ValueError(f"the arguments of the event cannot be sent: {error}") from None
    return payload
