"""What every body format can do; the gateway and the workers know no more than this."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from toto._core.formats.envelope import CallEnvelope

__all__ = ["Format"]


class Format(Protocol):
    """A body format: total decoding, strict encoding, and envelopes spliced from encoded parts.

    ``loads`` and ``open_envelope`` answer any bytes with a value or MalformedBody; what encodes
    raises NotSerializable.
    """

    name: str
    content_type: str
    # An encoded item between these two is one frame of a stream.
    item_prefix: bytes
    item_suffix: bytes

    def loads(self, body: bytes) -> Any:
        """Decode a body."""

    def dumps(self, value: Any) -> bytes:
        """Encode a value (in BSON: a dict)."""

    def result(self, value: Any) -> bytes:
        """Make the finished envelope of a result."""

    def error(self, error: Mapping[str, Any]) -> bytes:
        """Make the finished envelope of an error."""

    def encode_item(self, value: Any) -> bytes:
        """Encode a value: one of a list, of a stream or of an object, or a session."""

    def join_list(self, items: Iterable[bytes]) -> bytes:
        """Make the envelope whose result is the list of the encoded items."""

    def join_batch(self, members: Iterable[tuple[str, bytes]]) -> bytes:
        """Make the envelope of a batch from its members' finished envelopes."""

    def end(self) -> bytes:
        """Make the document that ends a stream that went well."""

    def with_session(self, document: bytes, session: bytes) -> bytes:
        """Add the encoded session to an envelope or to the document that ends a stream."""

    def with_member(self, document: bytes, name: str, item: bytes) -> bytes:
        """Put an encoded item, under a plain word, in front of what a finished envelope holds."""

    def join_object(self, members: Iterable[tuple[str, bytes]]) -> bytes:
        """Make an object of a few encoded items, by plain words."""

    def open_envelope(self, body: bytes) -> CallEnvelope:
        """Read the method's name, or take a batch apart."""

    def open_message(
        self, body: bytes, names: Iterable[str]
    ) -> tuple[CallEnvelope, dict[str, Any]]:
        """Do as ``open_envelope``, and decode those members of the object that have these names."""

    def member_method(self, document: bytes) -> str | None:
        """Read the method's name from one batch member."""
