"""How streamed items look to a client: NDJSON, msgpack maps, Server-Sent Events or raw bytes."""

from typing import Protocol

from toto._core.formats.format import Format

__all__ = ["EventStreamFraming", "Framing", "RecordFraming", "framing_for"]


class Framing(Protocol):
    """Turns pieces of items into bytes of the response."""

    content_type: str
    ping: bytes
    """Sent when nothing else was for a while; empty = this framing has none."""

    def piece(self, payload: bytes, *, begins: bool, ends: bool, key: str = "") -> bytes:
        """Frame a piece of an item that begins and/or ends with it; ``key`` is the item's name, if
        the method gave it one."""

    def end(self, document: bytes) -> bytes:
        """Return the last words of a stream that went well, from the document that says so."""

    def error(self, document: bytes) -> bytes:
        """Return the last words of a stream that failed, from the error's envelope."""


class RecordFraming:
    """A record for each item, a JSON line or msgpack map; the last one says how it ended."""

    ping = b""

    def __init__(self, body_format: Format) -> None:
        is_json = body_format.name == "json"
        self.content_type = "application/x-ndjson" if is_json else body_format.content_type
        self._format = body_format
        self._last_suffix = b"\n" if is_json else b""

    def piece(self, payload: bytes, *, begins: bool, ends: bool, key: str = "") -> bytes:
        """Put the item into its record."""
        prefix = self._format.item_prefix if begins else b""
        return prefix + payload + (self._format.item_suffix if ends else b"")

    def end(self, document: bytes) -> bytes:
        """Return the record that says the stream is complete."""
        return document + self._last_suffix

    def error(self, document: bytes) -> bytes:
        """Return the error as the last record."""
        return document + self._last_suffix


class EventStreamFraming:
    """Server-Sent Events (WHATWG HTML, 9.2): ``data`` is what an NDJSON line holds, ``id`` the name
    that the method gave the item, or its number."""

    content_type = "text/event-stream"
    ping = b": ping\n\n"

    def __init__(self) -> None:
        self._sequence = 0
        self._has_keys = False

    def piece(self, payload: bytes, *, begins: bool, ends: bool, key: str = "") -> bytes:
        """Put the item into an event; encoded JSON holds no line break."""
        prefix = b""
        if begins:
            self._has_keys = self._has_keys or bool(key)
            name = key.encode() if self._has_keys else b"%d" % self._sequence
            # Among items with names a number would be taken for one: then the last name counts.
            prefix = b"id: %b\n" % name if name else b""
            prefix += b'data: {"result":'
            self._sequence += 1
        return prefix + payload + (b"}\n\n" if ends else b"")

    def end(self, document: bytes) -> bytes:
        """Return the event that says the stream is complete."""
        return b"event: end\ndata: " + document + b"\n\n"

    def error(self, document: bytes) -> bytes:
        """Return the error as the last event."""
        return b"event: error\ndata: " + document + b"\n\n"


class RawFraming:
    """The method's own bytes."""

    ping = b""

    def __init__(self, content_type: str) -> None:
        self.content_type = content_type

    def piece(self, payload: bytes, *, begins: bool, ends: bool, key: str = "") -> bytes:
        """Pass the bytes on."""
        return payload

    def end(self, document: bytes) -> bytes:
        """The end of the response is the end."""
        return b""

    def error(self, document: bytes) -> bytes:
        """Nothing can be said in bytes of a foreign type: the connection is cut instead."""
        return b""


def framing_for(accept: str, body_format: Format) -> Framing:
    """Choose the framing of a generator's items by the request's Accept header."""
    if body_format.name == "json" and "text/event-stream" in accept.lower():
        return EventStreamFraming()
    return RecordFraming(body_format)
