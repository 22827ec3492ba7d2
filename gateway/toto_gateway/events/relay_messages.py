"""What gateway processes tell one another over Redis. Decoding is total: a message or an error.

A message is a msgpack array: version, kind, and the fields of its class, whose first one is always
the gateway process it comes from. Broadcasts and offers go to all, the rest to one process; a
message on the wrong channel is refused, or one event could be handed to everybody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgpack

from toto._wire.codec import ProtocolError
from toto._wire.constants import EVENT_BYTES_MAX, EVENT_NAME_LENGTH_MAX

__all__ = [
    "Back",
    "Channels",
    "Claim",
    "Hand",
    "Offer",
    "Pulse",
    "RelayMessage",
    "RelayedEvent",
    "decode",
    "encode",
]

RELAY_VERSION = 1
GATEWAY_ID_BYTES_MAX = 64
CURSOR_LENGTH_MAX = 128
INTEGER_MAX = 2**63 - 1
MESSAGE_BYTES_MAX = EVENT_BYTES_MAX + 2048
"""An event, its name and cursor of four bytes a character, the gateway's id and the numbers."""
_FIELDS_MAX = 8


class RelayedEvent(NamedTuple):
    """A broadcast event on its way to other gateway processes."""

    origin: bytes
    number: int
    name: str
    payload: bytes
    cursor: str


class Offer(NamedTuple):
    """Who has a worker for this event?"""

    sender: bytes
    number: int
    name: str


class Claim(NamedTuple):
    """I have, for your offer of this number."""

    sender: bytes
    number: int


class Hand(NamedTuple):
    """The event is yours, and nobody else's unless you give it back."""

    sender: bytes
    number: int
    attempt: int
    name: str
    payload: bytes


class Back(NamedTuple):
    """The worker is gone: the event you handed to me is yours again."""

    sender: bytes
    number: int
    attempt: int


class Pulse(NamedTuple):
    """To oneself: shows that publishing works, which a PING does not show of permissions."""

    sender: bytes


RelayMessage = RelayedEvent | Offer | Claim | Hand | Back | Pulse
_Checker = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Channels:
    """The names of the channels.

    Redis keeps its databases apart by number, channels however are common to all of them. So the
    number is in the name, or two installations in one Redis would get one another's events.

    Args:
        prefix: what everything of this installation begins with.
        database: number of the database.
    """

    prefix: str
    database: int = 0

    @property
    def everyone(self) -> str:
        """The channel that all gateway processes read."""
        return f"{self.prefix}events" + (f"/{self.database}" if self.database else "")

    def of(self, gateway_id: bytes) -> str:
        """Return the channel that one gateway process reads."""
        return f"{self.everyone}:{gateway_id.hex()}"


def encode(message: RelayMessage) -> bytes:
    """Return the bytes of a message."""
    frame: bytes = msgpack.packb((RELAY_VERSION, _KINDS[type(message)], *message))
    return frame


def decode(frame: bytes, *, is_to_everyone: bool) -> RelayMessage:
    """Return the message of the bytes that came on a channel.

    Raises:
        ProtocolError: for any bytes that are not exactly one well-formed message, or one that is
            not allowed on this channel. The text shows nothing of them.
    """
    if len(frame) > MESSAGE_BYTES_MAX:
        raise ProtocolError("message too long")
    try:
        fields = msgpack.unpackb(
            frame, use_list=False, max_array_len=_FIELDS_MAX, max_map_len=0, max_ext_len=0
        )
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise ProtocolError("not a message") from error
    if type(fields) is not tuple or len(fields) < 2 or any(type(f) is not int for f in fields[:2]):
        raise ProtocolError("not a message")
    version, kind, *values = fields
    if version != RELAY_VERSION:
        raise ProtocolError("unknown version")
    if kind not in _LAYOUTS:
        raise ProtocolError("unknown kind of message")
    make, checks = _LAYOUTS[kind]
    if is_to_everyone is not (make in _TO_EVERYONE):
        raise ProtocolError("not on this channel")
    if len(values) != len(checks):
        raise ProtocolError("wrong number of fields")
    message: RelayMessage = make(*[check(v) for check, v in zip(checks, values, strict=True)])
    return message


def _gateway_id(value: Any) -> bytes:
    if type(value) is not bytes or not 0 < len(value) <= GATEWAY_ID_BYTES_MAX:
        raise ProtocolError("expected the id of a gateway process")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= INTEGER_MAX:
        raise ProtocolError("expected a counter")
    return value


def _name(value: Any) -> str:
    if type(value) is not str or not 0 < len(value) <= EVENT_NAME_LENGTH_MAX:
        raise ProtocolError("expected the name of an event")
    return value


def _payload(value: Any) -> bytes:
    if type(value) is not bytes or len(value) > EVENT_BYTES_MAX:
        raise ProtocolError("expected an event")
    return value


def _cursor(value: Any) -> str:
    if type(value) is not str or len(value) > CURSOR_LENGTH_MAX:
        raise ProtocolError("expected a cursor")
    return value


_TO_EVERYONE = frozenset({RelayedEvent, Offer})
_LAYOUTS: dict[int, tuple[Callable[..., RelayMessage], tuple[_Checker, ...]]] = {
    1: (RelayedEvent, (_gateway_id, _integer, _name, _payload, _cursor)),
    2: (Offer, (_gateway_id, _integer, _name)),
    3: (Claim, (_gateway_id, _integer)),
    4: (Hand, (_gateway_id, _integer, _integer, _name, _payload)),
    5: (Back, (_gateway_id, _integer, _integer)),
    6: (Pulse, (_gateway_id,)),
}
_KINDS = {make: kind for kind, (make, _) in _LAYOUTS.items()}
