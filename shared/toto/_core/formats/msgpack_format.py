"""msgpack, strictly: no extension types, no timestamps, only strings as map keys."""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import msgpack

from toto._core.formats.envelope import (
    CallEnvelope,
    call_envelope,
    check_member_count,
    check_member_key,
    method_of_member,
    not_an_object,
)
from toto._core.formats.errors import MalformedBody
from toto._core.formats.limits import DecodeLimits
from toto._core.formats.tree import PlainCopier, check_tree

__all__ = ["MsgpackFormat"]

MAP_BYTES = bytes((*range(0x80, 0x90), 0xDE, 0xDF))
ARRAY_BYTES = bytes((*range(0x90, 0xA0), 0xDC, 0xDD))
STRING_BYTES = bytes((*range(0xA0, 0xC0), 0xD9, 0xDA, 0xDB))
BINARY_AND_EXTENSION_BYTES = bytes((*range(0xC4, 0xCA), *range(0xD4, 0xD9)))
NOT_A_MAP = bytes(set(range(256)).difference(MAP_BYTES))
NOT_A_CONTAINER = bytes(set(NOT_A_MAP).difference(ARRAY_BYTES))
NOT_BINARY_OR_EXTENSION = bytes(set(range(256)).difference(BINARY_AND_EXTENSION_BYTES))
UNPACK_ERRORS = (ValueError, TypeError, OverflowError, msgpack.UnpackException)


class MsgpackFormat:
    """The msgpack of request and answer bodies."""

    name = "msgpack"
    content_type = "application/msgpack"
    item_prefix = b"\x81\xa6result"
    item_suffix = b""

    def __init__(self, limits: DecodeLimits) -> None:
        self._limits = limits
        self._copier = PlainCopier(self.name, msgpack.packb)

    def loads(self, body: bytes) -> Any:
        """Decode a body, or raise MalformedBody."""
        value = self._unpack(body)
        # A body with few bytes that could open a container is not deep, and one without any that
        # could open binary data or a timestamp holds neither; most small bodies are both.
        if len(body.translate(None, NOT_A_CONTAINER)) > self._limits.depth_max or body.translate(
            None, NOT_BINARY_OR_EXTENSION
        ):
            check_tree(value, self._limits, refused=msgpack.Timestamp)
        return value

    def _unpack(self, body: bytes) -> Any:
        map_hook, list_hook = _as_dict, None
        if len(body) > self._limits.nodes_max:
            budget = _NodeBudget(self._limits.nodes_max)
            map_hook, list_hook = budget.as_dict, budget.as_list
        try:
            return msgpack.unpackb(
                body, object_pairs_hook=map_hook, list_hook=list_hook, ext_hook=_refuse_extension
            )
        except MalformedBody:
            raise
        except UNPACK_ERRORS as error:
            raise _malformed(error) from None

    def dumps(self, value: Any) -> bytes:
        """Encode a value, or raise NotSerializable."""
        try:
            packed: bytes = msgpack.packb(value)
        except (TypeError, ValueError, OverflowError):
            return self._copier.encode(value)
        if packed.translate(None, NOT_A_MAP) and not _has_only_text_keys(packed):
            return self._copier.encode(value)
        return packed

    def result(self, value: Any) -> bytes:
        """Make the finished envelope of a result."""
        return b"\x81\xa6result" + self.dumps(value)

    def error(self, error: Mapping[str, Any]) -> bytes:
        """Make the finished envelope of an error."""
        return b"\x81\xa5error" + self.dumps(dict(error))

    def encode_item(self, value: Any) -> bytes:
        """Encode a value: one of a list, of a stream or of an object, or a session."""
        return self.dumps(value)

    def join_list(self, items: Iterable[bytes]) -> bytes:
        """Make the envelope whose result is the list of the encoded items."""
        parts = list(items)
        header: bytes = msgpack.Packer().pack_array_header(len(parts))
        return b"\x81\xa6result" + header + b"".join(parts)

    def join_batch(self, members: Iterable[tuple[str, bytes]]) -> bytes:
        """Make the envelope of a batch from its members' finished envelopes."""
        parts = [msgpack.packb(key) + envelope for key, envelope in members]
        header: bytes = msgpack.Packer().pack_map_header(len(parts))
        return b"\x81\xa5batch" + header + b"".join(parts)

    def end(self) -> bytes:
        """Make the document that ends a stream that went well."""
        return b"\x81\xa3end\xc3"

    def with_session(self, document: bytes, session: bytes) -> bytes:
        """Add the encoded session to an envelope or to the document that ends a stream."""
        # All of them are maps of one entry.
        return b"\x82" + document[1:] + b"\xa7session" + session

    def with_member(self, document: bytes, name: str, item: bytes) -> bytes:
        """Put an encoded item, under a plain word, in front of what a finished envelope holds."""
        # Envelopes are short maps, so the first byte alone is the number of entries.
        encoded_name: bytes = msgpack.packb(name)
        return bytes((document[0] + 1,)) + encoded_name + item + document[1:]

    def join_object(self, members: Iterable[tuple[str, bytes]]) -> bytes:
        """Make an object of a few encoded items, by plain words."""
        parts = [msgpack.packb(name) + item for name, item in members]
        header: bytes = msgpack.Packer().pack_map_header(len(parts))
        return header + b"".join(parts)

    def open_envelope(self, body: bytes) -> CallEnvelope:
        """Read the method's name, or take a batch apart; parameters are passed over undecoded."""
        return self._envelope(body, _split_map(body, "the body"))

    def open_message(
        self, body: bytes, names: Iterable[str]
    ) -> tuple[CallEnvelope, dict[str, Any]]:
        """Do as ``open_envelope``, and decode those members of the object that have these names."""
        fields = _split_map(body, "the body")
        members = {name: self.loads(body[fields[name]]) for name in names if name in fields}
        return self._envelope(body, fields), members

    def _envelope(self, body: bytes, fields: dict[str, slice]) -> CallEnvelope:
        document: dict[str, Any] = {}
        if "method" in fields:
            document["method"] = self._method(body[fields["method"]])
        if "batch" not in fields:
            return call_envelope(document, None)
        batch = body[fields["batch"]]
        members: dict[str, bytes | None] = {}
        _check_batch_size(batch, self._limits.members_max)
        for key, where in _split_map(batch, "the batch").items():
            member = batch[where]
            check_member_key(key)
            members[key] = member if member[0] in MAP_BYTES else None
        return call_envelope(document, members)

    def _method(self, encoded: bytes) -> Any:
        # Anything but a string is refused by call_envelope, whatever it would decode to.
        return self._unpack(encoded) if _is_string(encoded, 0) else None

    def member_method(self, document: bytes) -> str | None:
        """Read the method's name from one batch member."""
        return method_of_member(self.open_envelope(document))


class _NodeBudget:
    """Hooks that stop the decoding of a large body once it has made too many values."""

    def __init__(self, nodes_max: int) -> None:
        self._nodes_max = nodes_max
        self._left = nodes_max - 1
        # The values in a container count when it ends, so nested ones need a count of their own.
        self._containers_left = nodes_max

    def as_dict(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self._take(len(pairs))
        return _as_dict(pairs)

    def as_list(self, items: list[Any]) -> list[Any]:
        self._take(len(items))
        return items

    def _take(self, count: int) -> None:
        self._left -= count
        self._containers_left -= 1
        if self._left < 0 or self._containers_left < 0:
            raise MalformedBody(f"the body has more than {self._nodes_max} values")


def _as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedBody("a map has the same key twice")
    return value


def _refuse_extension(code: int, data: bytes) -> NoReturn:
    raise MalformedBody("extension types are not accepted")


def _malformed(error: Exception) -> MalformedBody:
    if isinstance(error, msgpack.ExtraData):
        return MalformedBody("bytes follow the msgpack value")
    if isinstance(error, msgpack.StackError):
        return MalformedBody("the body is nested too deep")
    if isinstance(error, UnicodeDecodeError):
        return MalformedBody("a string is not valid UTF-8")
    return MalformedBody("the body is not valid msgpack, or a map key is not a string")


def _is_string(document: bytes, start: int) -> bool:
    return start < len(document) and document[start] in STRING_BYTES


def _has_only_text_keys(packed: bytes) -> bool:
    """Tell whether all maps have only strings as keys; packing takes anything.

    Joining the keys fails unless all are strings. To decode with that as a hook stays in C and
    takes a third of the time of a walk over the value.
    """
    try:
        msgpack.unpackb(packed, strict_map_key=False, object_hook="".join)
    except (TypeError, ValueError):
        return False
    return True


def _check_batch_size(batch: bytes, members_max: int) -> None:
    if batch and batch[0] in MAP_BYTES:
        unpacker = msgpack.Unpacker(read_size=len(batch), max_buffer_size=len(batch))
        unpacker.feed(batch)
        check_member_count(unpacker.read_map_header(), members_max)


def _split_map(document: bytes, what: str) -> dict[str, slice]:
    """Return where the value of each key sits, checking no more than that the values are whole."""
    if not document or document[0] not in MAP_BYTES:
        raise not_an_object(what)
    unpacker = msgpack.Unpacker(read_size=len(document), max_buffer_size=len(document))
    fields: dict[str, slice] = {}
    try:
        unpacker.feed(document)
        for _ in range(unpacker.read_map_header()):
            if not _is_string(document, unpacker.tell()):
                raise _malformed(ValueError("key"))
            key = unpacker.unpack()
            start = unpacker.tell()
            unpacker.skip()
            if key in fields:
                raise MalformedBody("a map has the same key twice")
            fields[key] = slice(start, unpacker.tell())
    except MalformedBody:
        raise
    except UNPACK_ERRORS as error:
        raise _malformed(error) from None
    if unpacker.tell() != len(document):
        raise MalformedBody("bytes follow the msgpack value")
    return fields
