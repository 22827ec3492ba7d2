"""What the fields of a session may hold: methods can set them to anything."""

from typing import Any

from toto._core.stores.record import SESSION_ID_LENGTH_MAX
from toto.exceptions import ERROR_SERVER, TotoException

__all__ = ["check_session_fields"]

_SECONDS_MAX = 2**53
"""Of a time: up to here it is exact in every format."""


def check_session_fields(session: Any) -> None:
    """Raise error 1000 if a field of a session is what cannot be stored or sent.

    Args:
        session: a ``TotoSession``, or whatever a method has put in its place.
    """
    for name, fits, expected in _FIELDS:
        if not fits(getattr(session, name, ...)):
            raise TotoException(ERROR_SERVER, f"The session's {name} must be {expected}.")


def _is_id(value: object) -> bool:
    # It travels in a header.
    return (
        isinstance(value, str)
        and 0 < len(value) <= SESSION_ID_LENGTH_MAX
        and value.isascii()
        and value.isprintable()
    )


def _is_user_id(value: object) -> bool:
    return value is None or _is_text(value)


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # lone surrogates
        return False
    return True


def _is_time(value: object) -> bool:
    # bool is an int; nan is less than nothing.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < _SECONDS_MAX


_FIELDS = (
    ("session_id", _is_id, "a text that a header can hold"),
    ("user_id", _is_user_id, "None or a text"),
    ("key", _is_text, "a text"),
    ("created", _is_time, "a number of seconds"),
    ("expires", _is_time, "a number of seconds"),
)
