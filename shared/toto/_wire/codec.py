"""Header frames to and from messages. Decoding is total: a message or ``ProtocolError``."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgpack

from toto._wire.constants import (
    EVENT_NAME_LENGTH_MAX,
    FRAME_BYTES_MAX,
    ITEM_KEY_LENGTH_MAX,
    METHOD_NAME_LENGTH_MAX,
    POLICY_MAX,
    PROTOCOL_VERSION,
    Lane,
    Origin,
)
from toto._wire.messages import (
    KINDS,
    Announce,
    Ask,
    AskPart,
    Bounce,
    Busy,
    Bye,
    Call,
    Cancel,
    Closing,
    Credit,
    Decline,
    Drain,
    Event,
    Grant,
    Head,
    Hello,
    Item,
    Message,
    MethodInfo,
    Missed,
    Mode,
    Part,
    Ping,
    Publish,
    Push,
    Ready,
    Receipt,
    Refuse,
    Reply,
    RequestInfo,
    Result,
    SessionAnswer,
    SessionInfo,
    Slots,
    Subscribe,
    Want,
    Welcome,
    Withdraw,
)

__all__ = ["ProtocolError", "decode", "encode"]

INTEGER_MAX = 2**63 - 1
"""Counters are taken up to here; nothing real comes near."""
ARRAY_LENGTH_MAX = 100_000
"""Elements of one array in a header: methods of a worker, headers of a request."""

_Checker = Callable[[Any], Any]
_T = TypeVar("_T")


class ProtocolError(Exception):
    """A frame that this protocol version does not allow. The message never echoes the frame."""


def encode(message: Message, epoch: int) -> bytes:
    """Return the header frame of ``message`` for the connection named ``epoch``."""
    frame: bytes = msgpack.packb((PROTOCOL_VERSION, KINDS[type(message)], epoch, *message))
    return frame


def decode(frame: bytes) -> tuple[int, Message]:
    """Return the epoch and the message of a header frame.

    Raises:
        ProtocolError: for any bytes that are not exactly one well-formed message.
    """
    if len(frame) > FRAME_BYTES_MAX:
        raise ProtocolError("frame too long")
    try:
        fields = msgpack.unpackb(
            frame, use_list=False, max_array_len=ARRAY_LENGTH_MAX, max_map_len=0, max_ext_len=0
        )
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise ProtocolError("not a header frame") from error
    if type(fields) is not tuple or len(fields) < 3:
        raise ProtocolError("not a header frame")
    if fields[0] != PROTOCOL_VERSION or type(fields[0]) is not int:
        raise ProtocolError("unknown protocol version")
    layout = _LAYOUTS.get(fields[1]) if type(fields[1]) is int else None
    if layout is None:
        raise ProtocolError("unknown kind of message")
    return _integer(fields[2]), layout(fields[3:])


def _integer(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= INTEGER_MAX:
        raise ProtocolError("expected a counter")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ProtocolError("expected a flag")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ProtocolError("expected text")
    return value


def _octets(value: Any) -> bytes:
    if type(value) is not bytes:
        raise ProtocolError("expected bytes")
    return value


def _lane(value: Any) -> int:
    if type(value) is not int or value not in (Lane.THREAD, Lane.LOOP):
        raise ProtocolError("unknown lane")
    return value


def _mode(value: Any) -> int:
    if type(value) is not int or value not in (Mode.ENVELOPE, Mode.RAW, Mode.ITEMS):
        raise ProtocolError("unknown mode")
    return value


def _origin(value: Any) -> int:
    if type(value) is not int or value not in (Origin.OWN, Origin.MADE, Origin.LOADED):
        raise ProtocolError("unknown origin")
    return value


def _policy(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= POLICY_MAX:
        raise ProtocolError("unknown policy")
    return value


def _time(value: Any) -> float:
    if type(value) is not float:
        raise ProtocolError("expected a time")
    return value


def _status(value: Any) -> int:
    if type(value) is not int or not (value == 0 or 200 <= value <= 599):
        raise ProtocolError("expected an HTTP status")
    return value


def _name(value: Any) -> str:
    if type(value) is not str or len(value) > METHOD_NAME_LENGTH_MAX:
        raise ProtocolError("expected a method name")
    return value


def _event_name(value: Any) -> str:
    if type(value) is not str or not 0 < len(value) <= EVENT_NAME_LENGTH_MAX:
        raise ProtocolError("expected the name of an event")
    return value


def _item_key(value: Any) -> str:
    if type(value) is not str or len(value) > ITEM_KEY_LENGTH_MAX:
        raise ProtocolError("expected the name of an item")
    return value


def _optional(check: Callable[[Any], _T]) -> Callable[[Any], _T | None]:
    return lambda value: None if value is None else check(value)


def _many(check: Callable[[Any], _T]) -> Callable[[Any], tuple[_T, ...]]:
    def checked(value: Any) -> tuple[_T, ...]:
        if type(value) is not tuple:
            raise ProtocolError("expected a list")
        return tuple([check(element) for element in value])

    return checked


def _record(make: Callable[..., _T], *checks: _Checker) -> Callable[[Any], _T]:
    count = len(checks)

    def checked(value: Any) -> _T:
        if type(value) is not tuple or len(value) != count:
            raise ProtocolError("wrong number of fields")
        return make(*[check(element) for check, element in zip(checks, value, strict=True)])

    return checked


def _pair(first: Any, second: Any) -> tuple[Any, Any]:
    return first, second


_HEADERS = _many(_record(_pair, _text, _text))
_SLOTS = _record(Slots, _integer, _integer, _integer, _integer)
_SESSION_ANSWER = _record(SessionAnswer, _text, _optional(_text), _time, _text, _origin, _octets)
_HEAD = _record(Head, _mode, _status, _text, _HEADERS, _optional(_SESSION_ANSWER), _flag)
_METHOD = _record(MethodInfo, _name, _lane, _policy, _integer)
_SESSION = _record(SessionInfo, _text, _octets, _integer, _flag)
_REQUEST = _record(
    RequestInfo,
    *(_text, _text, _text),
    _HEADERS,
    *(_text, _text, _text),
    _optional(_text),
    _SESSION,
    *(_flag, _flag),
)

_MESSAGES: dict[type[Message], tuple[_Checker, ...]] = {
    Hello: (_octets, _integer, _text, _many(_METHOD), _integer, _integer, _octets),
    Ready: (_SLOTS,),
    Busy: (_SLOTS,),
    Grant: (_lane, _integer),
    Result: (
        _integer,
        _integer,
        _flag,
        _integer,
        _optional(_HEAD),
        _optional(_SLOTS),
        _integer,
        _integer,
    ),
    Item: (_integer, _integer, _integer, _flag, _optional(_HEAD), _item_key),
    Bounce: (_integer, _integer, _SLOTS),
    Bye: (_flag,),
    Ask: (_integer, _integer, _integer, _name, _integer, _SESSION),
    AskPart: (_integer,),
    Withdraw: (_integer,),
    Subscribe: (_many(_event_name), _many(_event_name), _flag, _flag),
    Publish: (_event_name, _flag),
    Push: (_integer, _integer, _flag),
    Announce: (_integer, _event_name, _flag),
    Welcome: (_many(_text), _integer, _flag),
    Call: (
        *(_integer, _integer, _name, _lane, _integer, _integer, _integer),
        *(_REQUEST, _flag, _integer),
    ),
    Part: (_integer, _integer),
    Cancel: (_integer, _integer, _flag),
    Credit: (_integer, _integer, _integer),
    Want: (_lane, _integer),
    Decline: (_integer,),
    Drain: (),
    Ping: (),
    Refuse: (_text,),
    Reply: (_integer, _flag, _integer, _optional(_SESSION_ANSWER), _flag),
    Event: (_event_name, _flag, _octets, _integer, _text),
    Closing: (),
    Missed: (),
    Receipt: (_integer,),
}

_LAYOUTS: dict[int, Callable[[Any], Message]] = {
    int(KINDS[message]): _record(message, *checks) for message, checks in _MESSAGES.items()
}
