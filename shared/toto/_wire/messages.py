"""The messages of the wire, as immutable values.

Each is a named tuple whose fields travel in this order behind the header
``[version, kind, epoch]``. ``epoch`` names one connection between one worker incarnation and one
gateway: the gateway draws it, WELCOME announces it, and messages with another one are stale.
``call`` is unique within a gateway process, ``attempt`` counts the times it was sent to a worker;
a reply is accepted only when all three fit, so that no answer can reach another caller.
"""

from typing import Any, NamedTuple, TypeAlias

from toto._wire.constants import Kind, Lane, Mode, Origin, Policy


class Slots(NamedTuple):
    """A worker's free capacity and what it had received from this gateway when it counted.

    The gateway subtracts what it has sent since (sent - received), so that a report which crosses a
    call on the wire is never misread as a free slot.
    """

    free_threads: int
    free_loop: int
    received_threads: int
    received_loop: int


class MethodInfo(NamedTuple):
    """One method a worker serves."""

    name: str
    lane: int
    policy: int = Policy.NONE
    timeout_milliseconds: int = 0
    """Instead of the gateway's own time limit; 0 = it keeps that."""


class SessionAnswer(NamedTuple):
    """The session a call ended with: what the client is told, and what signs the answer."""

    session_id: str
    user_id: str | None
    expires: float
    key: str
    origin: int = Origin.OWN
    changes: bytes = b""
    """In a batch: what the member did to the session's variables, as ``apply_changes`` reads it."""

    def as_object(self) -> dict[str, Any]:
        """Return what the client is told of the session (contract 3)."""
        return {"session_id": self.session_id, "expires": self.expires, "user_id": self.user_id}


class Head(NamedTuple):
    """How an answer begins: what the payload is and what the method set on the response."""

    mode: int = Mode.ENVELOPE
    status: int = 0
    """HTTP status the method set; 0 = it set none."""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    session: SessionAnswer | None = None
    is_session_ended: bool = False
    """The method ended the session it was called with."""


class SessionInfo(NamedTuple):
    """The session behind a call, which the gateway has loaded and whose signature it has checked.

    An ``error`` tells why there is none although a credential was presented; it is raised when the
    method asks for the session.
    """

    session_id: str = ""
    packed: bytes = b""
    """``toto._core.stores.record.pack`` of the session; empty = there is none."""
    error: int = 0
    is_cookie: bool = False
    """The credential stood in a cookie, which any web page can make a browser send."""


class RequestInfo(NamedTuple):
    """The HTTP request behind a call, as ``handler.request`` shows it."""

    request_id: str
    verb: str
    uri: str
    headers: tuple[tuple[str, str], ...]
    remote_ip: str
    content_type: str
    body_format: str
    """Name of the format the answer is encoded in: json, msgpack or bson."""
    batch_key: str | None
    session: SessionInfo = SessionInfo()
    is_nested: bool = False
    """A method made this call, and not a client."""


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


class Subscribe(NamedTuple):
    """The worker has handlers for exactly these events; replaces what it said before."""

    names: tuple[str, ...]


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
}

__all__ = [
    "KINDS",
    "Ask",
    "AskPart",
    "Bounce",
    "Busy",
    "Bye",
    "Call",
    "Cancel",
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
    "Mode",
    "Origin",
    "Part",
    "Ping",
    "Policy",
    "Publish",
    "Ready",
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
