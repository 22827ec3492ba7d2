"""The values that messages are made of."""

from typing import Any, NamedTuple

from toto._wire.constants import Mode, Origin, Policy

__all__ = [
    "Head",
    "MethodInfo",
    "RequestInfo",
    "SessionAnswer",
    "SessionInfo",
    "Slots",
]


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
    is_socket: bool = False
    """It came over a WebSocket, so messages can be pushed to the client while it runs."""
