"""What a client and the gateway say to each other over a WebSocket (contract 8). No I/O.

What a client says is read by a function that has an answer for any bytes. What the gateway says is
put together from encoded parts: no result is decoded or encoded a second time.
"""

from typing import Any, NamedTuple, TypeAlias

from toto._core.failure import Failure
from toto._core.formats.errors import MalformedBody
from toto._core.formats.format import Format
from toto._core.stores.record import SessionRecord
from toto._wire.messages import SessionAnswer

__all__ = [
    "AddCredit",
    "CallId",
    "CancelCall",
    "ChangeSession",
    "ClientMessage",
    "ServerMessages",
    "SessionChange",
    "StartCall",
    "Unreadable",
    "read_message",
]

ID_LENGTH_MAX = 64
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**64 - 1
"""What 64 bits hold, with a sign or without."""
HEADERS_MAX = 16
_MEMBERS = ("id", "credit", "cancel", "request_id", "session_id", "headers")

CallId: TypeAlias = str | int
"""Chosen by the client; everything about a call carries it."""


class SessionChange(NamedTuple):
    """Another session for the socket."""

    session_id: str
    """Empty = none."""
    headers: tuple[tuple[str, str], ...]
    """Instead of headers of the handshake, which browsers cannot set."""


class StartCall(NamedTuple):
    """Run a method, or several in a batch."""

    call_id: CallId | None
    method: str
    """Empty when it is a batch."""
    batch: dict[str, bytes | None] | None
    """The members' own documents; None for one that is not an object."""
    credit: int | None
    """Items that the client takes for the present; None = all."""
    request_id: str
    session: SessionChange | None


class AddCredit(NamedTuple):
    """Take more items of a stream."""

    call_id: CallId
    items: int


class CancelCall(NamedTuple):
    """End a call."""

    call_id: CallId


class ChangeSession(NamedTuple):
    """Be somebody else from now on, and say who that is."""

    call_id: CallId | None
    session: SessionChange


class Unreadable(NamedTuple):
    """It cannot be understood, and this is why."""

    call_id: CallId | None
    reason: str


ClientMessage: TypeAlias = StartCall | AddCredit | CancelCall | ChangeSession | Unreadable


def read_message(body: bytes, body_format: Format) -> ClientMessage:
    """Read any message of a client; one that makes no sense is ``Unreadable``."""
    try:
        envelope, members = body_format.open_message(body, _MEMBERS)
    except MalformedBody as error:
        return Unreadable(_id_in(body, body_format), error.reason)
    call_id = None
    try:
        call_id = _call_id(members)
        session = _session_change(members)
        if envelope.method is not None or envelope.batch is not None:
            credit = _count(members["credit"]) if "credit" in members else None
            request_id = _request_id(members)
            method = envelope.method or ""
            return StartCall(call_id, method, envelope.batch, credit, request_id, session)
        if "cancel" not in members and session is not None:
            return ChangeSession(call_id, session)
        return _about_a_call(call_id, members)
    except MalformedBody as error:
        return Unreadable(call_id, error.reason)


def _about_a_call(call_id: CallId | None, members: dict[str, Any]) -> AddCredit | CancelCall:
    if "cancel" not in members and "credit" not in members:
        raise MalformedBody("the message names no method")
    if call_id is None:
        raise MalformedBody("the message needs the id of a call")
    if "cancel" not in members:
        return AddCredit(call_id, _count(members["credit"]))
    if members["cancel"] is not True:
        raise MalformedBody("cancel must be true")
    return CancelCall(call_id)


def _call_id(members: dict[str, Any]) -> CallId | None:
    if "id" not in members:
        return None
    if not _is_call_id(members["id"]):
        raise MalformedBody(f"an id is text of 1 to {ID_LENGTH_MAX} characters or an integer")
    call_id: CallId = members["id"]
    return call_id


def _is_call_id(value: Any) -> bool:
    if type(value) is int:
        return INTEGER_MIN <= value <= INTEGER_MAX
    return type(value) is str and 0 < len(value) <= ID_LENGTH_MAX


def _id_in(body: bytes, body_format: Format) -> CallId | None:
    """Return the id of a message that is wrong elsewhere, if it can be read."""
    try:
        document = body_format.loads(body)
    except MalformedBody:
        return None
    call_id = document.get("id") if type(document) is dict else None
    return call_id if _is_call_id(call_id) else None


def _count(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise MalformedBody("credit must be an integer from 1")
    return value


def _request_id(members: dict[str, Any]) -> str:
    request_id = members.get("request_id", "")
    if type(request_id) is not str:
        raise MalformedBody("the request_id must be text")
    return request_id


def _session_change(members: dict[str, Any]) -> SessionChange | None:
    if "session_id" not in members:
        return None
    session_id = members["session_id"]
    if session_id is not None and type(session_id) is not str:
        raise MalformedBody("the session_id must be text or null")
    headers = members.get("headers", {})
    if type(headers) is not dict or len(headers) > HEADERS_MAX:
        raise MalformedBody(f"the headers must be an object of at most {HEADERS_MAX} members")
    if any(type(value) is not str for value in headers.values()):
        raise MalformedBody("the headers must be text")
    return SessionChange(session_id or "", tuple(headers.items()))


class ServerMessages:
    """What is said of one call, in the format and with the id that it came with.

    Args:
        body_format: of everything about the call.
        call_id: None for a call in Toto's own form, which has no id.
    """

    __slots__ = ("_format", "_id", "is_text")

    def __init__(self, body_format: Format, call_id: CallId | None) -> None:
        self._format = body_format
        self._id = None if call_id is None else body_format.encode_item(call_id)
        self.is_text = body_format.name == "json"
        """They go out as text; otherwise as binary messages."""

    def answer(self, document: bytes) -> bytes:
        """Make the answer from a finished envelope."""
        return document if self._id is None else self._format.with_member(document, "id", self._id)

    def item(self, payload: bytes, key: str) -> bytes:
        """Make the message of one item of a stream, which is encoded already."""
        members = [("item", payload)]
        if self._id is not None:
            members.insert(0, ("id", self._id))
        if key:
            members.append(("key", self._format.encode_item(key)))
        return self._format.join_object(members)

    def end(self, session: SessionAnswer | None) -> bytes:
        """Make the message that ends a stream which went well."""
        document = self._format.end()
        if session is not None:
            encoded = self._format.encode_item(session.as_object())
            document = self._format.with_session(document, encoded)
        return self.answer(document)

    def failure(self, failure: Failure, request_id: str) -> bytes:
        """Make the answer that tells of an error of the gateway's own."""
        return self.answer(self._format.error(failure.as_error(request_id)))

    def cancelled(self) -> bytes:
        """Make the message that confirms the end of a call which the client wanted to end."""
        yes = self._format.encode_item(True)
        return self.answer(self._format.join_object([("end", yes), ("cancelled", yes)]))

    def session(self, record: SessionRecord | None) -> bytes:
        """Make the answer that tells the client who it is now."""
        shown = None
        if record is not None:
            shown = SessionAnswer(
                record.session_id, record.user_id, record.expires, record.key
            ).as_object()
        return self.answer(self._format.join_object([("session", self._format.encode_item(shown))]))
