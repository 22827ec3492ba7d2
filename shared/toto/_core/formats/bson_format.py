"""BSON, by pymongo's codec, which is imported when the format is made and not before.

A BSON body is always a document, so a single value travels as ``{"result": value}``: that is what
``encode_item`` makes and what everything takes that joins encoded items.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from toto._core.formats.envelope import (
    CallEnvelope,
    call_envelope,
    check_member_count,
    check_member_key,
    method_of_member,
    not_an_object,
)
from toto._core.formats.errors import MalformedBody, NotSerializable
from toto._core.formats.limits import DecodeLimits
from toto._core.formats.tree import PlainCopier, check_tree

__all__ = ["BsonFormat"]

DOCUMENT = b"\x03"
ARRAY = b"\x04"
NOT_A_CONTAINER = bytes(set(range(256)).difference(DOCUMENT + ARRAY))
LENGTH_BYTES = 4
# In an encoded item: the length, the value's type, the key "result" and its end.
TYPE_AT = LENGTH_BYTES
VALUE_AT = LENGTH_BYTES + 1 + len(b"result\0")


class BsonFormat:
    """The BSON of request and answer bodies.

    Values of BSON's own types (ObjectId, datetime without a time zone, ...) reach the method as
    the ``bson`` package gives them. Of duplicate keys the last counts, there and in the gateway.
    """

    name = "bson"
    content_type = "application/bson"
    item_prefix = b""
    item_suffix = b""

    def __init__(self, limits: DecodeLimits) -> None:
        import bson
        from bson.codec_options import CodecOptions
        from bson.raw_bson import RawBSONDocument

        self._limits = limits
        self._bson_decode = bson.decode
        self._bson_encode = bson.encode
        self._raw_document = RawBSONDocument
        self._raw_options = CodecOptions(document_class=RawBSONDocument)
        self._errors = (
            bson.errors.BSONError,
            ValueError,
            TypeError,
            OverflowError,
            RecursionError,
            KeyError,
            IndexError,
        )
        self._copier = PlainCopier(self.name, self._encode_item)

    def loads(self, body: bytes) -> Any:
        """Decode a body, or raise MalformedBody."""
        _check_length(body)
        try:
            value = self._bson_decode(body)
        except self._errors:
            raise MalformedBody("the body is not valid BSON") from None
        # A body with few bytes that could mark a container is not deep: most small bodies.
        if (
            len(body.translate(None, NOT_A_CONTAINER)) >= self._limits.depth_max
            or len(body) > self._limits.nodes_max
        ):
            check_tree(value, self._limits)
        return value

    def dumps(self, value: Any) -> bytes:
        """Encode a dict, or raise NotSerializable."""
        if not isinstance(value, dict):
            raise NotSerializable(self.name, "$", f"{type(value).__name__} instead of dict")
        try:
            return self._bson_encode(value)
        except self._errors:
            return self._copier.encode(value)[VALUE_AT:-1]

    def _encode_item(self, value: Any) -> bytes:
        return self._bson_encode({"result": value})

    def result(self, value: Any) -> bytes:
        """Make the finished envelope of a result."""
        try:
            return self._bson_encode({"result": value})
        except self._errors:
            return self._copier.encode(value)

    def error(self, error: Mapping[str, Any]) -> bytes:
        """Make the finished envelope of an error."""
        return _document(_element(DOCUMENT, "error", self.dumps(dict(error))))

    def encode_item(self, value: Any) -> bytes:
        """Encode a value: one of a list, of a stream or of an object, or a session."""
        return self.result(value)

    def join_list(self, items: Iterable[bytes]) -> bytes:
        """Make the envelope whose result is the list of the encoded items."""
        elements = [
            _element(item[TYPE_AT : TYPE_AT + 1], str(index), item[VALUE_AT:-1])
            for index, item in enumerate(items)
        ]
        return _document(_element(ARRAY, "result", _document(b"".join(elements))))

    def join_batch(self, members: Iterable[tuple[str, bytes]]) -> bytes:
        """Make the envelope of a batch from its members' finished envelopes."""
        joined = b"".join([_element(DOCUMENT, key, envelope) for key, envelope in members])
        return _document(_element(DOCUMENT, "batch", _document(joined)))

    def end(self) -> bytes:
        """Make the document that ends a stream that went well."""
        return b"\x0b\0\0\0\x08end\0\x01\0"

    def with_session(self, document: bytes, session: bytes) -> bytes:
        """Add the encoded session to an envelope or to the document that ends a stream."""
        added = _element(session[TYPE_AT : TYPE_AT + 1], "session", session[VALUE_AT:-1])
        return _document(document[LENGTH_BYTES:-1] + added)

    def with_member(self, document: bytes, name: str, item: bytes) -> bytes:
        """Put an encoded item, under a plain word, in front of what a finished envelope holds."""
        added = _element(item[TYPE_AT : TYPE_AT + 1], name, item[VALUE_AT:-1])
        return _document(added + document[LENGTH_BYTES:-1])

    def join_object(self, members: Iterable[tuple[str, bytes]]) -> bytes:
        """Make an object of a few encoded items, by plain words."""
        elements = [
            _element(item[TYPE_AT : TYPE_AT + 1], name, item[VALUE_AT:-1]) for name, item in members
        ]
        return _document(b"".join(elements))

    def open_envelope(self, body: bytes) -> CallEnvelope:
        """Read the method's name, or take a batch apart; objects inside are passed over."""
        _check_length(body)
        try:
            document = dict(self._bson_decode(body, self._raw_options))
            batch = document.get("batch")
            if batch is None and "batch" not in document:
                return call_envelope(document, None)
            if not isinstance(batch, self._raw_document):
                raise not_an_object("the batch")
            members: dict[str, bytes | None] = {}
            for key, member in batch.items():
                check_member_key(key)
                check_member_count(len(members) + 1, self._limits.members_max)
                members[key] = bytes(member.raw) if isinstance(member, self._raw_document) else None
        except MalformedBody:
            raise
        except self._errors:
            raise MalformedBody("the body is not valid BSON") from None
        return call_envelope(document, members)

    def open_message(
        self, body: bytes, names: Iterable[str]
    ) -> tuple[CallEnvelope, dict[str, Any]]:
        """Do as ``open_envelope``, and decode those members of the object that have these names."""
        envelope, document = self.open_envelope(body), self.loads(body)
        return envelope, {name: document[name] for name in names if name in document}

    def member_method(self, document: bytes) -> str | None:
        """Read the method's name from one batch member."""
        return method_of_member(self.open_envelope(document))


def _check_length(body: bytes) -> None:
    if len(body) <= LENGTH_BYTES or int.from_bytes(body[:LENGTH_BYTES], "little") != len(body):
        raise MalformedBody("the length in the BSON body is not the body's length")


def _document(elements: bytes) -> bytes:
    return (LENGTH_BYTES + len(elements) + 1).to_bytes(LENGTH_BYTES, "little") + elements + b"\0"


def _element(kind: bytes, name: str, value: bytes) -> bytes:
    return kind + name.encode() + b"\0" + value
