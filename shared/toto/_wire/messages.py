"""The messages of the wire, as immutable values.

Each is a named tuple whose fields travel in this order behind the header
``[version, kind, epoch]``. ``epoch`` names one connection between one worker incarnation and one
gateway: the gateway draws it, WELCOME announces it, and messages with another one are stale.
``call`` is unique within a gateway process, ``attempt`` counts the times it was sent to a worker;
a reply is accepted only when all three fit, so that no answer can reach another caller.
"""

from typing import NamedTuple, TypeAlias

from toto._wire.constants import Kind, Lane, Mode, Origin, Policy
from toto._wire.parts import (
    Head,
    MethodInfo,
    RequestInfo,
    SessionAnswer,
    SessionInfo,
    Slots,
)


class Hello(NamedTuple):
    """A worker introduces itself, or comes back after its connection was lost."""

    incarnation: bytes
    pid: int
    host: str
    methods: tuple[MethodInfo, ...]
    threads: int
    loop_slots: int
    stores: bytes = b""
    """Fingerprint of the options that say where sessions are; empty = unknown."""


class Ready(NamedTuple):
    """Capacity became free; also repeated once a second, so that a lost report heals."""

    slots: Slots


class Busy(NamedTuple):
    """Capacity is about to be taken; sent before user code runs, which may hold the GIL."""

    slots: Slots


class Grant(NamedTuple):
    """A freed slot is kept for this gateway until it answers CALL or DECLINE with the ticket."""

    lane: int
    ticket: int


class Result(NamedTuple):
    """The end of a call, or a chunk of a long answer when ``final`` is false."""

    call: int
    attempt: int
    final: bool
    code: int
    """0, or the error code of the document in the payload."""
    head: Head | None
    slots: Slots | None
    ticket: int
    """Not 0: the freed slot is kept for this gateway, as by GRANT."""
    run_microseconds: int


class Item(NamedTuple):
    """A piece of a stream; ``more`` when the item continues in the next message."""

    call: int
    attempt: int
    sequence: int
    more: bool
    head: Head | None
    key: str = ""
    """With the first piece: the method's own name for the item, by which a client that comes back
    says what it has seen last."""


class Bounce(NamedTuple):
    """The call was not started and will not be: another worker should have it."""

    call: int
    attempt: int
    slots: Slots


class Bye(NamedTuple):
    """No new calls (``gone`` false), or the last message before the socket closes."""

    gone: bool


class Ask(NamedTuple):
    """A running method calls another one. The payload is the body, or its first chunk."""

    ask: int
    """Unique within the worker's incarnation; the reply carries it."""
    call: int
    attempt: int
    method: str
    size: int
    session: SessionInfo
    """What the calling method has come to by now: it may have logged a user in."""


class AskPart(NamedTuple):
    """The next chunk of the body of a method's call."""

    ask: int


class Withdraw(NamedTuple):
    """The method does not wait any more for what it asked."""

    ask: int


class Push(NamedTuple):
    """A piece of a message to the client beside the answer of a call, which came over a WebSocket;
    ``more`` when it continues. It takes of the call's window as an item does."""

    call: int
    attempt: int
    more: bool


class Subscribe(NamedTuple):
    """Which events the worker has begun and ceased to have handlers for."""

    names: tuple[str, ...]
    gone: tuple[str, ...] = ()
    is_first: bool = False
    """Forget what it said before."""
    is_home: bool = False
    """This gateway is the one that passes events of other hosts on to the worker."""


class Announce(NamedTuple):
    """A program outside the cluster sends an event. The payload is its arguments in msgpack."""

    number: int
    """Chosen by the sender; the receipt repeats it."""
    name: str
    is_broadcast: bool


class Publish(NamedTuple):
    """Pass an event on. The payload is its arguments in msgpack."""

    name: str
    is_broadcast: bool
    """To every subscribed worker; otherwise to one of them, in turn."""


class Welcome(NamedTuple):
    """The gateway accepts the worker."""

    addresses: tuple[str, ...]
    """Endpoints of all sibling gateway processes, this one included."""
    window_bytes: int
    has_history: bool = False
    """Broadcast events are recorded, so that one who was away can read what he has missed."""


class Call(NamedTuple):
    """Run a method. The payload is the body, or its first chunk when ``size`` says more follows."""

    call: int
    attempt: int
    method: str
    lane: int
    deadline_milliseconds: int
    """Time left; relative, because clocks of two hosts differ."""
    ticket: int
    size: int
    request: RequestInfo
    is_extra: bool = False
    """Run it beside the worker's slots: a call that runs there waits for this one, or for one that
    this one was made by, and its slot stands idle meanwhile."""
    lender: int = 0
    """The call in whose slot it runs; 0 = it needs none. That slot is free when both have ended."""


class Part(NamedTuple):
    """The next chunk of a call's body."""

    call: int
    attempt: int


class Cancel(NamedTuple):
    """The answer is no longer wanted."""

    call: int
    attempt: int
    is_client_gone: bool
    """False when the deadline or the gateway's stop is the reason."""


class Credit(NamedTuple):
    """So many streamed bytes have reached the client."""

    call: int
    attempt: int
    size: int


class Want(NamedTuple):
    """The gateway has so many calls waiting that this worker could run; replaces the last WANT."""

    lane: int
    calls: int


class Decline(NamedTuple):
    """A granted slot is not needed any more."""

    ticket: int


class Drain(NamedTuple):
    """Answer to BYE: no call will follow this message."""


class Ping(NamedTuple):
    """Asks nothing; sending it tells the gateway whether the worker is still reachable."""


class Refuse(NamedTuple):
    """The gateway will not take this worker; the reason is for the worker's log."""

    reason: str


class Reply(NamedTuple):
    """The answer to ASK, or a chunk of it when ``final`` is false: a document in msgpack."""

    ask: int
    final: bool
    code: int
    """0, or the error code of the document."""
    session: SessionAnswer | None
    """The session the call ended with."""
    is_session_ended: bool


class Event(NamedTuple):
    """Something was published that the worker has subscribed to. The payload is its arguments."""

    name: str
    is_broadcast: bool
    origin: bytes = b""
    """The gateway process that got it first, by a name drawn at its start."""
    number: int = 0
    """Counts the broadcast events of the origin. It may reach a worker on two ways."""
    cursor: str = ""
    """Its place in the history; empty = it is not recorded."""


class Closing(NamedTuple):
    """The gateway is about to stop: calls that merely wait for events should come to an end, and
    their clients go elsewhere."""


class Missed(NamedTuple):
    """Broadcast events may have been lost on their way to this gateway."""


class Receipt(NamedTuple):
    """The announced event has arrived here."""

    number: int


Message: TypeAlias = (
    Hello
    | Ready
    | Busy
    | Grant
    | Result
    | Item
    | Bounce
    | Bye
    | Ask
    | AskPart
    | Withdraw
    | Subscribe
    | Publish
    | Push
    | Announce
    | Welcome
    | Call
    | Part
    | Cancel
    | Credit
    | Want
    | Decline
    | Drain
    | Ping
    | Refuse
    | Reply
    | Event
    | Closing
    | Missed
    | Receipt
)

KINDS: dict[type[Message], Kind] = {
    Hello: Kind.HELLO,
    Ready: Kind.READY,
    Busy: Kind.BUSY,
    Grant: Kind.GRANT,
    Result: Kind.RESULT,
    Item: Kind.ITEM,
    Bounce: Kind.BOUNCE,
    Bye: Kind.BYE,
    Ask: Kind.ASK,
    AskPart: Kind.ASK_PART,
    Withdraw: Kind.WITHDRAW,
    Subscribe: Kind.SUBSCRIBE,
    Publish: Kind.PUBLISH,
    Push: Kind.PUSH,
    Announce: Kind.ANNOUNCE,
    Welcome: Kind.WELCOME,
    Call: Kind.CALL,
    Part: Kind.PART,
    Cancel: Kind.CANCEL,
    Credit: Kind.CREDIT,
    Want: Kind.WANT,
    Decline: Kind.DECLINE,
    Drain: Kind.DRAIN,
    Ping: Kind.PING,
    Refuse: Kind.REFUSE,
    Reply: Kind.REPLY,
    Event: Kind.EVENT,
    Closing: Kind.CLOSING,
    Missed: Kind.MISSED,
    Receipt: Kind.RECEIPT,
}

__all__ = [
    "KINDS",
    "Announce",
    "Ask",
    "AskPart",
    "Bounce",
    "Busy",
    "Bye",
    "Call",
    "Cancel",
    "Closing",
    "Credit",
    "Decline",
    "Drain",
    "Event",
    "Grant",
    "Head",
    "Hello",
    "Item",
    "Lane",
    "Message",
    "MethodInfo",
    "Missed",
    "Mode",
    "Origin",
    "Part",
    "Ping",
    "Policy",
    "Publish",
    "Push",
    "Ready",
    "Receipt",
    "Refuse",
    "Reply",
    "RequestInfo",
    "Result",
    "SessionAnswer",
    "SessionInfo",
    "Slots",
    "Subscribe",
    "Want",
    "Welcome",
    "Withdraw",
]
