"""An item of a stream that has a name of its own."""

from dataclasses import dataclass
from typing import Any

from toto._wire.constants import ITEM_KEY_LENGTH_MAX

__all__ = ["StreamItem"]


@dataclass(frozen=True, slots=True)
class StreamItem:
    """What a generator may yield instead of a plain value, to give the item a name.

    Clients of server-sent events see it as the event's ``id``, and those of WebSockets as ``key``;
    in other streams it does not show.

    Args:
        value: the item.
        key: its name, up to 128 printable ASCII characters.

    Raises:
        ValueError: the name cannot be.
    """

    value: Any
    key: str

    def __post_init__(self) -> None:
        key = self.key
        if len(key) > ITEM_KEY_LENGTH_MAX or not (key.isascii() and key.isprintable()):
            raise ValueError(
                f"the key of an item must be up to {ITEM_KEY_LENGTH_MAX} printable ASCII characters"
            )
