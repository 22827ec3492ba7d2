"""The two ways a body can fail: the client sent a bad one, or a method returned a bad value.

::

    ValueError
      MalformedBody       the client's fault; ``reason`` may be shown to it
    TypeError
      NotSerializable     the method's fault; names the type and where it sits
"""

__all__ = ["MalformedBody", "NotSerializable"]

PATH_LENGTH_MAX = 200


class MalformedBody(ValueError):
    """A body that does not decode, or has the wrong shape.

    Args:
        reason: one short sentence, safe to show to the client.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotSerializable(TypeError):
    """A value that a format cannot carry.

    Args:
        format_name: the format that refused it.
        path: where the value sits, as in ``$.items[3].when``; a long one is cut in the middle.
        type_name: its type, or a few words when the type alone does not tell.
    """

    def __init__(self, format_name: str, path: str, type_name: str) -> None:
        if len(path) > PATH_LENGTH_MAX:
            half = PATH_LENGTH_MAX // 2
            path = f"{path[:half]}...{path[-half:]}"
        super().__init__(f"not serializable as {format_name}: {path}: {type_name}")
        self.path = path
        self.type_name = type_name
