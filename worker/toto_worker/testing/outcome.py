"""What comes back of one call, gathered from the worker's messages."""

from dataclasses import dataclass, field

from toto._core.failure import Failure
from toto._core.formats.format import Format
from toto._wire.constants import Mode
from toto._wire.messages import Head, Item, Result, SessionAnswer

__all__ = ["Gathered", "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended."""

    code: int
    """0, or the error code of the document."""
    head: Head
    document: bytes
    """What ends the answer, and most answers are nothing else: a finished document, or bytes."""
    items: tuple[bytes, ...] | None = None
    """The encoded items of a generator."""
    streamed: bytes = b""
    """The bytes of a raw stream before its end."""

    @property
    def is_raw(self) -> bool:
        """The body is bytes of the method's own; an error has a document all the same."""
        return self.head.mode == Mode.RAW


@dataclass(slots=True)
class Gathered:
    """What has come so far."""

    head: Head | None = None
    items: list[bytes] = field(default_factory=list)
    is_stream: bool = False
    _piece: bytearray = field(default_factory=bytearray)
    _document: bytearray = field(default_factory=bytearray)
    _session: SessionAnswer | None = None
    _is_session_ended: bool = False

    def add_item(self, message: Item, payload: bytes) -> None:
        """Take in a piece of a stream."""
        self.is_stream = True
        self._add_head(message.head)
        self._piece += payload
        if not message.more:
            self.items.append(bytes(self._piece))
            self._piece.clear()

    def add_result(self, message: Result, payload: bytes) -> Outcome | None:
        """Take in the end, or a part of it; return the outcome once it is complete."""
        self._add_head(message.head)
        self._document += payload
        return self._outcome(message.code, bytes(self._document)) if message.final else None

    def failed(self, failure: Failure, body_format: Format, request_id: str) -> Outcome:
        """End without the worker."""
        return self._outcome(failure.code, body_format.error(failure.as_error(request_id)))

    def _outcome(self, code: int, document: bytes) -> Outcome:
        first = self.head or Head()
        head = first._replace(session=self._session, is_session_ended=self._is_session_ended)
        if head.mode == Mode.ITEMS:
            return Outcome(code, head, document, tuple(self.items))
        return Outcome(code, head, document, streamed=b"".join(self.items))

    def _add_head(self, head: Head | None) -> None:
        if head is None:
            return
        if self.head is None:
            self.head = head
        self._session = head.session or self._session
        self._is_session_ended = self._is_session_ended or head.is_session_ended
